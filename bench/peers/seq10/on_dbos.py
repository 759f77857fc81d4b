"""DBOS Transact: a library in the driver's own process, with its state in PostgreSQL."""

import asyncio
import os

from dbos import DBOS, SetWorkflowID

from serve import STEPS, serve

DBOS(
    config={
        "name": "seq10",
        "system_database_url": os.environ["PEER_URL"],
        "sys_db_pool_size": 20,
        "run_admin_server": False,
        "log_level": "ERROR",
    }
)


@DBOS.step()
async def step(_number: int) -> int:
    return 1


@DBOS.workflow()
async def seq10() -> int:
    total = 0
    for number in range(STEPS):
        total += await step(number)
    return total


async def run(number: int) -> None:
    with SetWorkflowID(str(number)):
        total = await seq10()
    assert total == STEPS, total


DBOS.launch()
asyncio.run(serve(run))
DBOS.destroy()
