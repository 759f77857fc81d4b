"""Follows the journal with the GraphQL client `gql`, breaks off, and goes on at another node.

Arguments: the URLs of the nodes, in turn, and how many events to read from each. Prints the positions as JSON.
"""

import asyncio
import json
import sys

from gql import Client, gql
from gql.transport.websockets import WebsocketsTransport

QUERY = "subscription($after: Position!) { journal(afterPosition: $after) { position type } }"


async def read(url, after, count):
    transport = WebsocketsTransport(
        url=url.replace("http", "ws", 1) + "/graphql/ws",
        subprotocols=[WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL],
    )
    seen = []
    async with Client(transport=transport) as session:
        question = gql(QUERY)
        question.variable_values = {"after": after}
        async for answer in session.subscribe(question):
            seen.append(answer["journal"]["position"])
            if len(seen) == count:
                break
    return seen


async def main(urls, count):
    seen = []
    for url in urls:
        seen += await read(url, seen[-1] if seen else "0", count)
    print(json.dumps(seen))


asyncio.run(main(sys.argv[1:-1], int(sys.argv[-1])))
