"""The peers: what each needs installed, what has to run for it, and the driver that puts it to work."""

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import time
import urllib.error
import urllib.request

import install
from processes import Failure, call, free_port, running, tail

HERE = pathlib.Path(__file__).resolve().parent
RESTATE_SERVER, RESTATE_SDK = "1.7.12", "1.17.2"


class Peer:
    """One system. `install` is called for all peers before anything is measured."""

    version = ""
    # Whether the peer is measured without being named.
    usual = True

    def __init__(self, name: str, under: pathlib.Path):
        self.name, self.under = name, under

    def install(self):
        raise NotImplementedError

    def running(self, postgres):
        """A context in which the peer runs; yields its driver's command, environment, and the servers' process ids."""
        raise NotImplementedError


class PythonPeer(Peer):
    """A Python library whose state is in PostgreSQL."""

    def __init__(self, name, under, packages):
        super().__init__(name, under)
        self.packages, self.version = packages, packages[0].split("==")[1]

    def install(self):
        self.programs = install.python(self.under, self.name, self.packages)

    def prepare(self, postgres, url):
        """What has to be done to the fresh database first."""

    @contextlib.contextmanager
    def running(self, postgres):
        url = postgres.database(self.name)
        self.prepare(postgres, url)
        driver = HERE / "seq10" / f"on_{self.name}.py"
        yield [self.programs / "python", "-B", driver], {"PEER_URL": url}, [postgres.process]


class Absurd(PythonPeer):
    def prepare(self, postgres, url):
        path = f"{postgres.programs}{os.pathsep}{os.environ.get('PATH', '')}"
        for command in (["init"], ["create-queue", "seq10"]):
            environment = {**os.environ, "ABSURD_DATABASE_URL": url, "PATH": path}
            call([self.programs / "absurdctl", *command], self.under / self.name / "log", "absurdctl", env=environment)


class NodePeer(Peer):
    """npm packages. The drivers are copied beside them, because modules are looked for from where a file lies."""

    packages: list

    def install(self):
        self.directory = install.npm(self.under, self.name, self.packages)
        for source in (HERE / "seq10").glob("*.mjs"):
            shutil.copy(source, self.directory)
        self.node = install.node_program(self.under)


class GraphileWorker(NodePeer):
    version = "0.18.0"
    packages = [f"graphile-worker@{version}", "pg@8.23.1"]

    @contextlib.contextmanager
    def running(self, postgres):
        driver = [self.node, self.directory / "on_graphile_worker.mjs"]
        yield driver, {"PEER_URL": postgres.database(self.name)}, [postgres.process]


class Restate(NodePeer):
    """A server with a log and tables of its own, and the service that it calls. No PostgreSQL."""

    version = RESTATE_SERVER
    packages = [f"@restatedev/restate-server@{RESTATE_SERVER}", f"@restatedev/restate-sdk@{RESTATE_SDK}"]

    @contextlib.contextmanager
    def running(self, postgres):
        data, log = self.directory / "data", self.directory / "log"
        shutil.rmtree(data, ignore_errors=True)
        ingress, admin, node = (f"127.0.0.1:{free_port()}" for _ in range(3))
        settings = {
            "RESTATE_BIND_ADDRESS": node,
            "RESTATE_INGRESS__BIND_ADDRESS": ingress,
            "RESTATE_ADMIN__BIND_ADDRESS": admin,
            "RESTATE_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "1",
        }
        # The real program rather than npm's starter, which would be one more process between us and it.
        found = list(self.directory.glob("node_modules/@restatedev/restate-server-*/bin/restate-server"))
        if not found:
            raise Failure("npm installed no restate-server for this kind of machine")
        server = [found[0], "--no-logo", "--listen-mode", "tcp", "--bind-ip", "127.0.0.1", "--base-dir", data]
        service = [self.node, self.directory / "restate_service.mjs"]
        with contextlib.ExitStack() as stack:
            stack.callback(shutil.rmtree, data, ignore_errors=True)
            sink = stack.enter_context(open(log, "ab"))
            environment = {**os.environ, **settings}
            server = stack.enter_context(running(server, stdout=sink, stderr=sink, env=environment, cwd=self.directory))
            environment = {**os.environ, "RESTATE_LOGGING": "ERROR"}
            service = running(service, stdout=subprocess.PIPE, stderr=sink, env=environment, text=True)
            service = stack.enter_context(service)
            port = service.stdout.readline().strip()
            if not port.isdigit():
                raise Failure(f"the service for Restate did not start: {tail(log)}")
            for url in (f"http://{admin}/health", f"http://{ingress}/restate/health"):
                self.wait_for(url, server, log)
            self.post(f"http://{admin}/deployments", {"uri": f"http://127.0.0.1:{port}"}, log)
            driver = [self.node, self.directory / "on_restate.mjs"]
            yield driver, {"PEER_URL": f"http://{ingress}"}, [server.pid, service.pid]

    @staticmethod
    def wait_for(url, server, log):
        limit = time.monotonic() + 60
        while time.monotonic() < limit and server.poll() is None:
            with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):
                return
            time.sleep(0.1)
        raise Failure(f"restate-server did not become ready: {tail(log)}")

    @staticmethod
    def post(url, body, log):
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(url, json.dumps(body).encode(), headers)
        try:
            urllib.request.urlopen(request, timeout=60).close()
        except urllib.error.URLError as error:
            raise Failure(f"restate-server did not take the service: {error}; {tail(log)}") from error


class Duroxide(Peer):
    """A Rust crate; compiling it takes minutes, so it runs only when it is named, or all are."""

    version = "0.1.38"
    usual = False

    def install(self):
        self.programs = install.cargo(self.under, HERE / "duroxide/Cargo.toml")

    @contextlib.contextmanager
    def running(self, postgres):
        yield [self.programs / "peer-duroxide"], {"PEER_URL": postgres.database(self.name)}, [postgres.process]


def all_peers(under: pathlib.Path) -> dict:
    """Every peer by its name. Exact versions: a figure without them means little."""
    psycopg = "psycopg[binary,pool]==3.3.9"
    peers = [
        Restate("restate", under),
        PythonPeer("langgraph", under, ["langgraph==1.2.24", "langgraph-checkpoint-postgres==3.2.0", psycopg]),
        PythonPeer("dbos", under, ["dbos==3.4.0"]),
        Absurd("absurd", under, ["absurd-sdk==0.5.1", "absurdctl==0.5.1"]),
        GraphileWorker("graphile-worker", under),
        Duroxide("duroxide", under),
    ]
    return {peer.name: peer for peer in peers}
