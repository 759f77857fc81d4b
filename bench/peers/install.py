"""Installing what the peers need, each into a directory of its own, once per version.

Only the configured package registries are asked, through npm, pip and cargo.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import time

from processes import Failure, call

# Restate's SDK fails at its first call below Node.js 22, graphile-worker asks for 22.18, and npm quietly takes older
# releases of what they depend on when the newest do not fit the running Node.js. So the peers bring their own, which is
# an npm package as well.
NODE = "node@22.23.3"


def cached(directory: pathlib.Path, wanted: list, make) -> None:
    """Calls `make` with the emptied directory, unless a finished installation of the same is there."""
    stamp = directory / "installed"
    text = "\n".join(wanted) + "\n"
    if stamp.exists() and stamp.read_text() == text:
        return
    print(f"==> installing {directory.name}: {' '.join(wanted)}", file=sys.stderr)
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    begun = time.monotonic()
    make(directory)
    stamp.write_text(text)
    size = int(subprocess.check_output(["du", "-sm", directory]).split()[0])
    print(f"    {time.monotonic() - begun:.0f} s, {size} MB", file=sys.stderr)


def npm(under: pathlib.Path, name: str, packages: list) -> pathlib.Path:
    """Installs npm packages and returns their directory; `node` below `under` runs them."""
    if not shutil.which("npm"):
        raise Failure("npm is missing")
    node(under)
    path = f"{node_program(under).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    cached(under / name, [*packages, NODE], lambda directory: npm_install(directory, packages, path))
    return under / name


def node(under: pathlib.Path) -> None:
    def make(directory):
        npm_install(directory, [NODE], os.environ.get("PATH", ""))
        version = subprocess.run([node_program(under), "--version"], capture_output=True, text=True, check=False)
        if version.stdout.strip() != NODE.replace("node@", "v"):
            raise Failure(f"npm installed {version.stdout.strip() or 'no usable Node.js'} instead of {NODE}")

    cached(under / "node", [NODE], make)


def node_program(under: pathlib.Path) -> pathlib.Path:
    return under / "node/node_modules/node/bin/node"


def npm_install(directory: pathlib.Path, packages: list, path: str) -> None:
    (directory / "package.json").write_text('{"private": true}\n')
    command = ["npm", "install", "--save-exact", "--no-audit", "--no-fund", *packages]
    call(command, directory / "install.log", "npm install", cwd=directory, env={**os.environ, "PATH": path})


def python(under: pathlib.Path, name: str, packages: list) -> pathlib.Path:
    """Installs Python packages into a virtual environment and returns its programs' directory."""

    def make(directory):
        log = directory / "install.log"
        call([sys.executable, "-m", "venv", directory / "venv"], log, "python3 -m venv")
        pip = [directory / "venv/bin/python", "-m", "pip", "--disable-pip-version-check", "--no-input", "install"]
        call([*pip, "--quiet", *packages], log, "pip install")

    version = ".".join(map(str, sys.version_info[:2]))
    cached(under / name, [*packages, f"python{version}"], make)
    return under / name / "venv/bin"


def cargo(under: pathlib.Path, manifest: pathlib.Path) -> pathlib.Path:
    """Builds a crate that belongs to no workspace of ours; cargo itself knows what is up to date."""
    target = under / manifest.parent.name
    target.mkdir(parents=True, exist_ok=True)
    print(f"==> building {manifest.parent.name} (the first time takes minutes)", file=sys.stderr)
    begun = time.monotonic()
    log = target / "install.log"
    log.unlink(missing_ok=True)
    command = ["cargo", "build", "--release", "--locked", "--manifest-path", manifest, "--target-dir", target]
    call(command, log, "cargo build")
    print(f"    {time.monotonic() - begun:.0f} s", file=sys.stderr)
    return target / "release"
