"""LangGraph: ten nodes in a row, in the driver's own process; a checkpoint is committed before the next node starts."""

import asyncio
import os
from typing import TypedDict

from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.graph import END, START, StateGraph
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from serve import STEPS, serve


class State(TypedDict):
    total: int


async def node(state: State) -> State:
    return {"total": state["total"] + 1}


async def main() -> None:
    # These connection settings are what the saver asks for.
    settings = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}
    async with AsyncConnectionPool(os.environ["PEER_URL"], min_size=4, max_size=20, kwargs=settings) as pool:
        saver = AsyncPostgresSaver(pool)
        await saver.setup()
        graph = StateGraph(State)
        before = START
        for number in range(STEPS):
            graph.add_node(f"s{number}", node)
            graph.add_edge(before, f"s{number}")
            before = f"s{number}"
        graph.add_edge(before, END)
        app = graph.compile(checkpointer=saver)

        async def run(number: int) -> None:
            thread = {"configurable": {"thread_id": str(number)}}
            end = await app.ainvoke({"total": 0}, thread, durability="sync")
            assert end["total"] == STEPS, end

        await serve(run)


asyncio.run(main())
