"""Fetches a wheel where there is no pip: fetch-wheel.py PACKAGE VERSION DIRECTORY.

The index is the one that pip would use: PIP_INDEX_URL, or a pip.conf. Its simple API is PEP 503.
"""

import configparser
import os
import pathlib
import re
import sys
import urllib.parse
import urllib.request


def index_url() -> str:
    if url := os.environ.get("PIP_INDEX_URL"):
        return url
    home = pathlib.Path.home()
    for path in [home / ".config/pip/pip.conf", home / ".pip/pip.conf", pathlib.Path("/etc/pip.conf")]:
        config = configparser.ConfigParser()
        if config.read(path) and config.has_option("global", "index-url"):
            return config.get("global", "index-url")
    sys.exit("error: there is no pip, and PIP_INDEX_URL does not say where Python packages are to be had")


def main() -> None:
    package, version, directory = sys.argv[1:]
    page_url = f"{index_url().rstrip('/')}/{package}/"
    wheel = f"{package.replace('-', '_')}-{version}-py3-none-any.whl"
    with urllib.request.urlopen(page_url, timeout=60) as page:
        links = re.findall(r'href="([^"]+)"', page.read().decode())
    matching = [link for link in links if urllib.parse.unquote(link.split("#")[0]).endswith("/" + wheel)]
    if not matching:
        sys.exit(f"error: the index does not offer {wheel}")
    url = urllib.parse.urljoin(page_url, matching[0].split("#")[0])
    with urllib.request.urlopen(url, timeout=60) as source, open(pathlib.Path(directory) / wheel, "wb") as sink:
        total, done, shown = int(source.headers.get("Content-Length") or 0), 0, -1
        while chunk := source.read(1 << 18):
            sink.write(chunk)
            done += len(chunk)
            percent = 100 * done // total if total else 0
            if percent // 10 != shown:
                shown = percent // 10
                print(f"  {done >> 20} MiB {percent} %", file=sys.stderr)


if __name__ == "__main__":
    main()
