"""Children that end with us, and what they cost.

Every child has a session of its own, so that Ctrl-C reaches this program first, which then stops its children in order.
Should this program itself be killed, the kernel sends each of them its stop signal.
"""

import contextlib
import ctypes
import os
import pathlib
import signal
import socket
import subprocess
import sys

LIBC = ctypes.CDLL(None, use_errno=True)
SET_PARENT_DEATH_SIGNAL = 1  # prctl(2)
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Failure(Exception):
    """Something that cannot be had or does not run, in words for the user."""


def obey_signals():
    """The first signal unwinds the stack, which stops the children; more of them cannot disturb that."""
    caught = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def end(number, _frame):
        for each in caught:
            signal.signal(each, signal.SIG_IGN)
        print("==> interrupted; stopping what was started", file=sys.stderr)
        raise SystemExit(128 + number)

    for each in caught:
        signal.signal(each, end)


@contextlib.contextmanager
def running(command, *, stop=signal.SIGTERM, patience=30, **options):
    """A child; on leaving it is told to stop, and killed with its descendants when it does not."""
    options.setdefault("stdin", subprocess.DEVNULL)
    leash = lambda: LIBC.prctl(SET_PARENT_DEATH_SIGNAL, int(stop))  # noqa: E731
    child = subprocess.Popen(command, start_new_session=True, preexec_fn=leash, **options)
    try:
        yield child
    finally:
        for pipe in (child.stdin, child.stdout):
            if pipe:
                pipe.close()
        if child.poll() is None:
            child.send_signal(stop)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(patience)
        # Whatever is left of its group has no parent any more.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def call(command, log: pathlib.Path, what: str, **options):
    """Runs a command to its end; its words go to `log`, and their end into the failure."""
    with open(log, "ab") as sink, running(command, stdout=sink, stderr=sink, **options) as child:
        if child.wait() != 0:
            raise Failure(f"{what} failed: {tail(log)}")


def tail(log: pathlib.Path) -> str:
    """The last lines that say something."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()] if log.exists() else []
    said = " | ".join(line.strip()[:300] for line in lines[-4:])
    return f"{said} (all of it: {log})" if said else f"it said nothing ({log})"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def cpu_ms(roots: list) -> float:
    """CPU time used so far by these processes and all their descendants, ended and waited-for ones included."""
    parents, used = {}, {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                fields = pathlib.Path("/proc", entry, "stat").read_text(errors="replace").rsplit(")", 1)[1].split()
                # The parent, then utime, stime, cutime and cstime: proc(5), counted after the command's name.
                parents[int(entry)], used[int(entry)] = int(fields[1]), sum(map(int, fields[11:15]))
    total = 0
    for process, ticks in used.items():
        ancestor = process
        while ancestor in parents and ancestor not in roots:
            ancestor = parents[ancestor]
        if ancestor in roots:
            total += ticks
    return total * 1000 / TICKS_PER_SECOND
