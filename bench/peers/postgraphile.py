"""PostGraphile, the reference of `answers.run`: installs it, then becomes its server.

The server's port is the only line on standard output.
"""

import argparse
import os
import pathlib
import shutil
import sys

import install
from processes import Failure

HERE = pathlib.Path(__file__).resolve().parent
PACKAGES = ["postgraphile@5.1.5", "pg@8.23.1"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--under", type=pathlib.Path, required=True, help="where peers are installed")
    parser.add_argument("--database", required=True, help="the URL of the database")
    parser.add_argument("--schema", required=True, help="whose tables are asked for")
    arguments = parser.parse_args()
    under = arguments.under.resolve()
    under.mkdir(parents=True, exist_ok=True)
    try:
        directory = install.npm(under, "postgraphile", PACKAGES)
    except Failure as failure:
        sys.exit(f"error: {failure}")
    # Beside the packages, because modules are looked for from where a file lies.
    shutil.copy(HERE / "answers/serve_postgraphile.mjs", directory)
    node = install.node_program(under)
    environment = {
        **os.environ,
        "NODE_ENV": "production",
        "PEER_URL": arguments.database,
        "PEER_SCHEMA": arguments.schema,
    }
    os.execve(node, [str(node), str(directory / "serve_postgraphile.mjs")], environment)


if __name__ == "__main__":
    main()
