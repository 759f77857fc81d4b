"""Finds what has no place in the tree: overlong files, paths of one machine, forgotten marks, detached tasks, error
codes without a page, pages without an error code, and tests that are named and do not exist."""

import re
import subprocess
import sys

MAX_LINES = 700
# Generated or data, so nobody reads them from top to bottom.
LONG_ALLOWED = {"Cargo.lock", "schema/schema.graphql", "rest/openapi.json"}
FORBIDDEN = [
    (re.compile(r"(?<![\w.])/(?:home|Users|root|work)/[A-Za-z_]"), "a path of one machine"),
    (re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b"), "a forgotten mark"),
]
# Where a detached task would outlive whoever is responsible for it. Tests and measurements may.
SPAWN = re.compile(r"\btokio::(?:task::)?spawn\(")
SPAWN_ALLOWED = re.compile(r"(?:^|/)(?:tests|testkit|bench)(?:/|\.rs$)")
# These speak about such things.
SPEAKS_OF_THEM = {".ci/tidy.py"}
# Where error codes are made. Every word in capitals that stands alone in quotes there is a code, unless listed below.
CODE_PLACES = re.compile(
    r"(?:domain/src/\w+/(?:decide|refusal)|commands/src/error|projections/src/error)\.rs$|(?:schema/src|rest/src|src/server|src/cli|integrations/src)/.*\.rs$"
)
CODE = re.compile(r'"([A-Z]+(?:_[A-Z]+)*)"')
TESTS = re.compile(r"^#\[cfg\(test\)\]\n(?:#\[[^\]]*\]\n)*mod \w+ \{.*", re.MULTILINE | re.DOTALL)
NO_CODES = {
    "REFUSAL",  # a kind; the other kinds are codes as well
    "NO_COLOR", "CARGO_PKG_VERSION",  # variables of the environment
    "GET", "POST",  # methods of HTTP
    "URL", "UTC",  # in the help of the command line, and a time zone
    # causes that `explain` tells
    "APPROVAL", "ATTEMPT", "CHILD", "ENGINE", "FAILED", "ITEMS", "LIMIT", "NEEDS", "NOT_REACHED", "PAUSED", "RESTING", "RETRY",
    "RUNNING", "SIGNAL", "SKIPPED", "TIMER", "UNCLAIMED", "UNDO",
    # where a cost comes from
    "LISTED", "REPORTED", "UNPRICED",
    # values of GraphQL, and what stands for values in the help of the command line
    "AGENT", "CURSOR", "DATE", "DOLLARS", "EXPRESSION", "FILE", "FROZEN", "GRACE", "HEX", "ID", "JSON", "KEY", "MOMENT", "N", "NAME", "ORDER", "PERCENT", "PLATFORM", "POSITION",
    "REVISION", "RUN", "TEXT", "TYPE", "VERSION", "WORDS", "WORKFLOW",
}
ERRORS = "docs/errors/"
RELIABILITY = "docs/reliability.md"
INDEX_ROW = re.compile(r"^\| \[(\w+)\]\((\w+)\.md\) \| (.+) \|$")


def error_pages(texts: dict[str, str]) -> list[str]:
    """Every code has a page and every page a code, and the index says the same as the pages."""
    words = {}
    for name, text in texts.items():
        if CODE_PLACES.match(name) and not name.endswith("/tests.rs") and "/tests/" not in name:
            words |= dict.fromkeys(CODE.findall(TESTS.sub("", text)), name)
    pages = {
        name.removeprefix(ERRORS).removesuffix(".md"): text.splitlines()
        for name, text in texts.items()
        if name.startswith(ERRORS) and name != ERRORS + "README.md"
    }
    wrong = [f"{ERRORS}{code}.md is missing; {words[code]} has the code" for code in words.keys() - pages - NO_CODES]
    wrong += [f"{ERRORS}{code}.md: no code; nothing says `{code}` any more" for code in pages.keys() - words]
    wrong += [f".ci/tidy.py: NO_CODES names `{word}`, which nothing says any more" for word in NO_CODES - words.keys()]
    index, kind = {}, ""
    for line in texts[ERRORS + "README.md"].splitlines():
        if re.match(r"\w+: ", line):
            kind = f"**Kind.** {line}"
        elif row := INDEX_ROW.match(line):
            index[row[1]] = (row[2], row[3], kind)
    wrong += [f"{ERRORS}README.md: `{code}` is missing, or has no page" for code in index.keys() ^ pages.keys()]
    for code, (link, title, kind) in index.items():
        page = pages.get(code)
        if page is not None and (link != code or page[:5] != [f"# {code}", "", f"{title}.", "", kind]):
            wrong.append(f"{ERRORS}{code}.md: its heading, first sentence or kind is not that of the index")
    return sorted(wrong)


def named_tests(texts: dict[str, str]) -> list[str]:
    """The tests that the page on reliability names exist."""
    tests = {name for file, text in texts.items() if file.endswith(".rs") for name in re.findall(r"\bfn (\w+)\(", text)}
    table = [line for line in texts[RELIABILITY].splitlines() if line.startswith("| ")]
    named = {name for line in table for name in re.findall(r"`([a-z]+(?:_[a-z0-9]+){3,})`", line)}
    return [f"{RELIABILITY}: there is no test `{name}`" for name in sorted(named - tests)]


def main() -> int:
    files = subprocess.check_output(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"])
    wrong, texts = [], {}
    for name in filter(None, files.decode().split("\0")):
        try:
            text = open(name, encoding="utf-8").read()
        except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
            continue
        texts[name] = text
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
    wrong += error_pages(texts) + named_tests(texts)
    for line in wrong:
        print(f"error: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
