"""The peers' private PostgreSQL: made anew for each sitting, on a Unix socket as our own is, and as safe as ours."""

import contextlib
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import tempfile
import time

from processes import Failure, call, running, tail

# The settings of cluster/src/server.rs, so that neither side has the better server.
SETTINGS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    "min_wal_size": "256MB",
    "checkpoint_timeout": "15min",
    "checkpoint_completion_target": "0.9",
    "jit": "off",
    "autovacuum": "on",
    "listen_addresses": "",
}
USER = "peers"


class Postgres:
    """A running server."""

    def __init__(self, programs: pathlib.Path, socket: pathlib.Path, log: pathlib.Path, process: int):
        self.programs, self.socket, self.log, self.process = programs, socket, log, process

    def database(self, name: str) -> str:
        """Makes a database and returns its URL."""
        name = name.replace("-", "_")
        call([self.programs / "createdb", "-h", self.socket, "-U", USER, name], self.log, f"createdb {name}")
        return f"postgresql://{USER}@localhost/{name}?host={self.socket}"


@contextlib.contextmanager
def postgres(programs: pathlib.Path, under: pathlib.Path):
    """Makes and starts a server; its files are below `under` and go when it stops."""
    owner = unprivileged()
    base = directory_for(owner, under)
    data, log = base / "data", under / "postgres.log"
    socket = pathlib.Path(tempfile.mkdtemp(prefix="hishamos-peers.", dir="/tmp"))
    log.unlink(missing_ok=True)
    try:
        identity = {}
        if owner:
            for path in (base, socket):
                os.chown(path, owner.pw_uid, owner.pw_gid)
            identity = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
        initdb = [programs / "initdb", "-D", data, "-U", USER, "--auth=trust", "--encoding=UTF8", "--locale=C"]
        call(initdb, log, "initdb", cwd="/", **identity)
        command = [programs / "postgres", "-D", data, "-k", socket]
        for setting in SETTINGS.items():
            command += ["-c", "=".join(setting)]
        # An interrupt is PostgreSQL's fast shutdown.
        options = {"stop": signal.SIGINT, "cwd": "/", **identity}
        with open(log, "ab") as sink, running(command, stdout=sink, stderr=sink, **options) as child:
            ready = [programs / "pg_isready", "-q", "-h", socket]
            for _ in range(300):
                if child.poll() is not None:
                    raise Failure(f"PostgreSQL did not start: {tail(log)}")
                if subprocess.run(ready, check=False).returncode == 0:
                    break
                time.sleep(0.1)
            else:
                raise Failure(f"PostgreSQL was not ready within 30 s: {tail(log)}")
            yield Postgres(programs, socket, log, child.pid)
    finally:
        shutil.rmtree(base, ignore_errors=True)
        shutil.rmtree(socket, ignore_errors=True)


def unprivileged():
    """Whom the server runs as; nothing is ourselves. PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise Failure("PostgreSQL does not run as root, and there is neither a user `postgres` nor `nobody`")


def directory_for(owner, under: pathlib.Path) -> pathlib.Path:
    """A directory that the server's user can enter, on the disk that is measured where that is possible."""
    if owner:
        enter = subprocess.run(
            ["/bin/sh", "-c", 'cd "$1" 2>/dev/null', "sh", under],
            user=owner.pw_uid, group=owner.pw_gid, extra_groups=[], cwd="/", check=False,
        )
        if enter.returncode != 0:
            return pathlib.Path(tempfile.mkdtemp(prefix="hishamos-peers.", dir="/var/tmp"))
    base = under / "postgres"
    shutil.rmtree(base, ignore_errors=True)
    base.mkdir()
    return base
