"""Proves that the rooms know only whom they may know (ARCHITECTURE.md), by what cargo itself says."""

import json
import subprocess
import sys

# Who may know whom. Everything else that one room of this workspace says about another is a mistake.
MAY_KNOW = {
    "domain": set(),
    "providers": set(),
    "cluster": set(),
    "words": set(),
    "journal": {"domain"},
    "commands": {"domain", "journal"},
    "output": {"domain"},
    "projections": {"domain", "journal", "output", "words"},
    "engine": {"domain", "journal", "commands", "output", "providers", "selection"},
    "schema": {"domain", "journal", "commands", "output", "projections"},
    "rest": {"domain", "journal", "commands", "output", "projections"},
    "selection": {"domain", "words"},
    "integrations": {"domain", "journal", "commands"},
    "testkit": {"cluster"},
    "simulation": {"domain", "journal", "commands", "engine", "providers"},
    "bench": {"domain", "journal", "commands", "projections", "providers", "engine", "cluster", "selection", "testkit"},
    "hishamos": {"domain", "journal", "commands", "projections", "providers", "engine", "integrations", "output", "rest", "schema", "selection", "cluster"},
}
# What only tests know; the testkit is for all of them.
TESTS_MAY_KNOW = {
    "engine": {"testkit", "projections", "cluster"},
    "schema": {"testkit", "engine", "providers"},
    "rest": {"testkit", "engine", "providers"},
    "projections": {"testkit", "commands", "engine", "providers"},
    "selection": {"commands"},
    "hishamos": {"testkit"},
}


def main() -> int:
    command = ["cargo", "metadata", "--format-version", "1", "--no-deps", "--locked"]
    packages = json.loads(subprocess.check_output(command))["packages"]
    rooms = {package["name"]: package["name"].removeprefix("hishamos-") for package in packages}
    wrong = []
    for package in packages:
        room = rooms[package["name"]]
        if room not in MAY_KNOW:
            wrong.append(f"{room} is not in the table of .ci/rooms.py")
            continue
        for dependency in package["dependencies"]:
            other = rooms.get(dependency["name"])
            if other is None:
                continue
            allowed = MAY_KNOW[room]
            if dependency["kind"] == "dev":
                allowed = allowed | TESTS_MAY_KNOW.get(room, {"testkit"})
            if other not in allowed:
                kind = "the tests of " if dependency["kind"] == "dev" else ""
                wrong.append(f"{kind}{room} must not know {other}")
    for line in wrong:
        print(f"error: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
