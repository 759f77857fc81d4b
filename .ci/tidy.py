"""Finds what has no place in the tree: overlong files, paths of one machine, forgotten marks, stray prints."""

import re
import subprocess
import sys

MAX_LINES = 700
# Generated or data, so nobody reads them from top to bottom.
LONG_ALLOWED = {"Cargo.lock", "schema/schema.graphql"}
FORBIDDEN = [
    (re.compile(r"(?<![\w.])/(?:home|Users|root|work)/[A-Za-z_]"), "a path of one machine"),
    (re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b"), "a forgotten mark"),
]
# Where a detached task would outlive whoever is responsible for it. Tests and measurements may.
SPAWN = re.compile(r"\btokio::(?:task::)?spawn\(")
SPAWN_ALLOWED = re.compile(r"(?:^|/)(?:tests|testkit|bench)(?:/|\.rs$)")
# These speak about such things.
SPEAKS_OF_THEM = {".ci/tidy.py"}


def main() -> int:
    files = subprocess.check_output(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"])
    wrong = []
    for name in filter(None, files.decode().split("\0")):
        try:
            text = open(name, encoding="utf-8").read()
        except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
            continue
        lines = text.splitlines()
        if name.endswith((".rs", ".py", ".md", ".sql")) and len(lines) > MAX_LINES and name not in LONG_ALLOWED:
            wrong.append(f"{name}: {len(lines)} lines; at most {MAX_LINES}, split it")
        if name in SPEAKS_OF_THEM or name in LONG_ALLOWED:
            continue
        for number, line in enumerate(lines, 1):
            if name.endswith(".rs") and SPAWN.search(line) and not SPAWN_ALLOWED.search(name):
                wrong.append(f"{name}:{number}: a detached task; use a JoinSet or TaskTracker that somebody awaits")
            for pattern, what in FORBIDDEN:
                if pattern.search(line):
                    wrong.append(f"{name}:{number}: {what}: {line.strip()[:100]}")
    for line in wrong:
        print(f"error: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
