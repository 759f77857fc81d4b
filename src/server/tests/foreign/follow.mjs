// Follows the journal with the clients `graphql-ws` and `graphql-sse`, in turn, breaks off, and goes on at another node
// with the other client. Arguments: where they are installed, the URLs of the nodes, and how many events to read from
// each. Prints the positions as JSON.
import { createRequire } from "node:module";
import { resolve } from "node:path";

const [home, ...rest] = process.argv.slice(2);
const count = Number(rest.pop());
const require = createRequire(`${resolve(home)}/node_modules/`);
const sockets = require("graphql-ws");
const streams = require("graphql-sse");
const WebSocket = require("ws");

const query = "subscription($after: Position!) { journal(afterPosition: $after) { position type } }";

async function read(client, after) {
  const seen = [];
  for await (const { data, errors } of client.iterate({ query, variables: { after } })) {
    if (errors) throw new Error(JSON.stringify(errors));
    seen.push(data.journal.position);
    if (seen.length === count) break;
  }
  await client.dispose();
  return seen;
}

const seen = [];
for (const [turn, url] of rest.entries()) {
  const client =
    turn % 2 === 0
      ? sockets.createClient({ url: url.replace("http", "ws") + "/graphql/ws", webSocketImpl: WebSocket, retryAttempts: 0 })
      : streams.createClient({ url: url + "/graphql", singleConnection: false, retryAttempts: 0 });
  seen.push(...(await read(client, seen.at(-1) ?? "0")));
}
console.log(JSON.stringify(seen));
process.exit(0);
