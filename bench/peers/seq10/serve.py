"""The loop of every Python driver: one request a line on standard input, one answer a line on standard output.

`{"runs": 2000, "at_once": 100}` is answered by `{"seconds": …, "ms": [… each run …]}`. bench/peers/run.py makes the
figures of that, and measures CPU time between request and answer, the same way for every peer.
"""

import asyncio
import json
import os
import sys
import time

STEPS = 10


async def serve(run):
    """Answers requests; `run` starts one run of ten steps under the given number and returns when it has ended."""
    # What a library prints must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    print('{"ready": true}', file=answers)
    loop = asyncio.get_running_loop()
    started = 0
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        request = json.loads(line)
        numbers = iter(range(started, started + request["runs"]))
        started += request["runs"]
        times = []

        async def one_after_another():
            for number in numbers:
                begun = time.perf_counter()
                await run(number)
                times.append((time.perf_counter() - begun) * 1000)

        begun = time.perf_counter()
        await asyncio.gather(*[one_after_another() for _ in range(request["at_once"])])
        print(json.dumps({"seconds": time.perf_counter() - begun, "ms": times}), file=answers)
