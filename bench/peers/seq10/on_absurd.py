"""Absurd: durable tasks as functions of PostgreSQL; workers and driver share this process. Absurd polls."""

import asyncio
import os

from absurd_sdk import AsyncAbsurd

from serve import STEPS, serve

URL, QUEUE = os.environ["PEER_URL"], "seq10"
WORKERS, TASKS_EACH, POLL_SECONDS, SPAWNERS = 8, 4, 0.01, 4

ended: dict = {}


async def step() -> int:
    return 1


async def seq10(params, ctx):
    total = 0
    for number in range(STEPS):
        total += await ctx.step(f"s{number}", step)
    ended.pop(params["number"]).set_result(total)
    return total


def client() -> AsyncAbsurd:
    made = AsyncAbsurd(URL, queue_name=QUEUE)
    made.register_task("seq10")(seq10)
    return made


async def main() -> None:
    workers = [
        client().start_worker(worker_id=f"w{number}", concurrency=TASKS_EACH, poll_interval=POLL_SECONDS)
        for number in range(WORKERS)
    ]
    spawners: asyncio.Queue = asyncio.Queue()
    for _ in range(SPAWNERS):
        spawners.put_nowait(client())

    async def run(number: int) -> None:
        end = ended[number] = asyncio.get_running_loop().create_future()
        spawner = await spawners.get()
        try:
            await spawner.spawn("seq10", {"number": number})
        finally:
            spawners.put_nowait(spawner)
        assert await end == STEPS

    tasks = [asyncio.create_task(each) for each in (serve(run), *workers)]
    # Workers end only by failing.
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()


asyncio.run(main())
