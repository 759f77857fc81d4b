"""Measures other durable-execution systems on ten sequential steps that do nothing, then HishamOS: ./dev bench --peers.

Standard output carries the same JSON lines as our own bench, standard error a table with the ratios and whether the
goals hold. The exit code is 0 when everything that was asked for ran; a missed goal does not change it. Meanings and
fairness: docs/benchmarks.md.
"""

import argparse
import contextlib
import fcntl
import json
import os
import pathlib
import select
import subprocess
import sys
import time

from database import postgres
from processes import Failure, cpu_ms, obey_signals, running, tail
from systems import all_peers

STEPS = 10
AT_ONCE = 100
# As many runs as our own bench makes (bench/src/engine.rs).
WARM_UP, ALONE, MANY = 30, 300, 2000
# How long a peer may need for one request; the slowest needs a few minutes for the largest.
LIMIT_SECONDS = 1800
# What is compared, its decimals, and the goal: the least or the greatest ratio of ours to the best peer's.
FIGURES = {
    "single": ("latency", "ms", 2),
    "single.p99": ("latency, p99", "ms", 2),
    "c100": ("steps/s", "steps/s", 0),
    "cpu": ("CPU", "ms/run", 2),
}
GOALS = {
    "c100": (3.0, "steps/s at least 3 times the best durable peer's"),
    "single": (0.5, "latency at most half of the best durable peer's"),
    "cpu": (0.5, "CPU per run at most half of the best durable peer's"),
}


def main() -> int:
    arguments = parse()
    if arguments.check:
        return 0
    arguments.under.mkdir(parents=True, exist_ok=True)
    under = arguments.under.resolve()
    known = all_peers(under)
    asked = chosen(arguments.peers, known)
    obey_signals()
    measured, failed = {}, {}
    with only_one(under):
        installed = []
        for peer in asked:
            # What fails for one peer is told, and the others go on.
            with telling(peer.name, failed):
                peer.install()
                installed.append(peer)
        if installed:
            with postgres(arguments.postgres, under) as server:
                for peer in installed:
                    with telling(peer.name, failed):
                        measured[peer.name] = measure(peer, server, arguments.quick)
        if not arguments.peers_only:
            with telling("hishamos", failed):
                measured["hishamos"] = ours(arguments.program, arguments.quick)
    if measured:
        table(measured, known)
    for name, reason in failed.items():
        print(f"{name} did not run: {reason}", file=sys.stderr)
    if arguments.peers_only:
        print("HishamOS itself was not measured (--peers-only)", file=sys.stderr)
    elif "hishamos" in measured:
        goals(measured)
    return 1 if failed else 0


def parse():
    known = all_peers(pathlib.Path())
    usual = [name for name, peer in known.items() if peer.usual]
    parser = argparse.ArgumentParser(prog="./dev bench", description="Measures peers and HishamOS side by side.")
    parser.add_argument(
        "--peers", nargs="*", metavar="NAME", default=[], choices=[*known, "all"],
        help=f"which peers: {', '.join(known)} or all; without a name: {', '.join(usual)}",
    )  # fmt: skip
    parser.add_argument("--peers-only", action="store_true", help="HishamOS itself is neither built nor measured")
    parser.add_argument("--quick", action="store_true", help="a tenth of the runs, rougher figures")
    # What ./dev adds.
    parser.add_argument("--check", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--program", type=pathlib.Path, help=argparse.SUPPRESS)
    parser.add_argument("--postgres", type=pathlib.Path, help=argparse.SUPPRESS)
    parser.add_argument("--under", type=pathlib.Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def chosen(names: list, known: dict) -> list:
    if "all" in names:
        return list(known.values())
    return [peer for name, peer in known.items() if (name in names if names else peer.usual)]


@contextlib.contextmanager
def only_one(under: pathlib.Path):
    """Two sittings at once would disturb each other's figures and files."""
    with open(under / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(f"error: another bench of the peers is at work in {under}")
        yield


@contextlib.contextmanager
def telling(name: str, failed: dict):
    try:
        yield
    except (Failure, OSError) as failure:
        failed[name] = str(failure)
        print(f"==> {name} did not run: {failure}", file=sys.stderr)


class Driver:
    """A running driver: seq10/serve.py says what it is asked."""

    def __init__(self, child, log: pathlib.Path):
        self.child, self.log, self.rest = child, log, b""

    def ask(self, runs: int, at_once: int):
        """Has it make runs; returns what they took together, in seconds, and each, in milliseconds."""
        request = json.dumps({"runs": runs, "at_once": at_once})
        try:
            self.child.stdin.write(request.encode() + b"\n")
            self.child.stdin.flush()
        except BrokenPipeError as error:
            raise self.ended() from error
        answer = self.answer()
        if len(answer["ms"]) != runs:
            raise Failure(f"it made {len(answer['ms'])} runs instead of {runs}")
        return answer["seconds"], answer["ms"]

    def ended(self) -> Failure:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.child.wait(10)
        return Failure(f"its driver ended with {self.child.returncode}: {tail(self.log)}")

    def answer(self):
        limit = time.monotonic() + LIMIT_SECONDS
        while b"\n" not in self.rest:
            ready, _, _ = select.select([self.child.stdout], [], [], max(0, limit - time.monotonic()))
            if not ready:
                raise Failure(f"its driver did not answer within {LIMIT_SECONDS} s: {tail(self.log)}")
            read = os.read(self.child.stdout.fileno(), 1 << 16)
            if not read:
                raise self.ended()
            self.rest += read
        line, self.rest = self.rest.split(b"\n", 1)
        return parsed(line)


def measure(peer, server, quick: bool) -> dict:
    print(f"==> measuring {peer.name} {peer.version}", file=sys.stderr)
    log = peer.under / peer.name / "log"
    log.unlink(missing_ok=True)
    with contextlib.ExitStack() as stack:
        command, environment, servers = stack.enter_context(peer.running(server))
        sink = stack.enter_context(open(log, "ab"))
        options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": sink, "cwd": peer.under / peer.name}
        child = stack.enter_context(running(command, env={**os.environ, **environment}, **options))
        driver = Driver(child, log)
        driver.answer()
        everybody = [child.pid, *servers]
        rounds = lambda full: max(1, full // 10) if quick else full  # noqa: E731
        driver.ask(WARM_UP, 1)
        _, alone = driver.ask(rounds(ALONE), 1)
        figures = {"single": quantile(alone, 0.5), "single.p99": quantile(alone, 0.99)}
        driver.ask(AT_ONCE, AT_ONCE)
        before = cpu_ms(everybody)
        seconds, _ = driver.ask(rounds(MANY), AT_ONCE)
        figures["c100"] = rounds(MANY) * STEPS / seconds
        figures["cpu"] = (cpu_ms(everybody) - before) / rounds(MANY)
    for figure, value in figures.items():
        unit = FIGURES[figure][1]
        line = {"bench": f"peer.{peer.name}.seq10.{figure}", "value": round(value, 3), "unit": unit}
        print(json.dumps(line), flush=True)
    return figures


def parsed(line) -> dict:
    try:
        return json.loads(line)
    except ValueError as error:
        raise Failure(f"it answered {line!r}, which is no JSON") from error


def quantile(values: list, which: float) -> float:
    """As in bench/src/report.rs."""
    return sorted(values)[round((len(values) - 1) * which)]


def ours(program: pathlib.Path, quick: bool) -> dict:
    """Runs our own bench, whose lines are passed on: alone, and then many at a time, each in a new process. Whatever else
    the bench measures of these ten steps, on other platforms and databases, no peer is asked for before."""
    print("==> measuring HishamOS", file=sys.stderr)
    figures = {}
    for wanted in ("engine.seq10.single", "engine.seq10.c100"):
        command = [program, wanted, *(["--quick"] if quick else [])]
        with running(command, stdout=subprocess.PIPE, text=True) as child:
            for line in child.stdout:
                print(line, end="", flush=True)
                entry = parsed(line)
                figures[entry["bench"].removeprefix("engine.seq10.")] = entry["value"]
            if child.wait() != 0:
                raise Failure(f"hishamos-bench ended with {child.returncode}")
    missing = FIGURES.keys() - figures.keys()
    if missing:
        raise Failure(f"hishamos-bench did not tell {', '.join(sorted(missing))}")
    return figures


def best(measured: dict, figure: str):
    """The best peer's name and value."""
    values = {name: figures[figure] for name, figures in measured.items() if name != "hishamos"}
    if not values:
        return None
    name = (max if figure == "c100" else min)(values, key=values.get)
    return name, values[name]


def table(measured: dict, known: dict) -> None:
    def row(name, cells):
        print(f"{name:<24}" + "".join(f"{cell:>18}" for cell in cells), file=sys.stderr)

    print(file=sys.stderr)
    row("ten steps", [f"{title}, {unit}" if unit != title else title for title, unit, _ in FIGURES.values()])
    for name, figures in measured.items():
        cells = [f"{figures[figure]:.{decimals}f}" for figure, (_, _, decimals) in FIGURES.items()]
        row(f"{name} {known[name].version}" if name in known else name, cells)
    if "hishamos" in measured and len(measured) > 1:
        ours = measured["hishamos"]
        row("ours / best peer", [f"{ours[figure] / best(measured, figure)[1]:.2f}" for figure in FIGURES])
    print(file=sys.stderr)


def goals(measured: dict) -> None:
    for figure, (bound, words) in GOALS.items():
        found = best(measured, figure)
        if found is None:
            print(f"goal: {words}: cannot be told, no peer ran", file=sys.stderr)
            continue
        name, value = found
        ratio = measured["hishamos"][figure] / value
        holds = ratio >= bound if figure == "c100" else ratio <= bound
        verdict = "holds" if holds else "DOES NOT HOLD"
        print(f"goal: {words}: {verdict} ({ratio:.2f} times {name}'s)", file=sys.stderr)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"error: {failure}")
