"""Run the tests on every available database: `python -m tests [pytest arguments]`."""

import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from tempfile import TemporaryFile
from typing import IO, Any

from tests.support.servers import find_servers

BANNER = "=" * 80


def main(arguments: list[str]) -> int:
    """Run pytest once for each database, and return the highest exit code.

    The tests on the third database run at the same time as those on the others, because most of
    their time is spent waiting for a server. Their output is shown when they end.
    """
    results: dict[str, int] = {}
    with ExitStack() as stack:
        servers = find_servers(stack)
        output = stack.enter_context(TemporaryFile())
        available = [name for name, url in servers.items() if url is not None]
        for name in servers.keys() - set(available):
            print(f"{BANNER}\nSKIPPED: no {name} server answers; its tests did not run\n{BANNER}")
            results[name] = int(os.environ.get("CI") == "true")
        third = [(name, start(arguments, name, servers, output)) for name in available[2:]]
        for name in available[:2]:
            results[name] = start(arguments, name, servers, sys.stdout).wait()
        for name, process in third:
            results[name] = process.wait()
        output.seek(0)
        print(output.read().decode(errors="replace"))
    for name, code in results.items():
        state = "skipped" if servers[name] is None else "failed" if code else "passed"
        print(f"{name}: {state}")
    return max(results.values())


def start(
    arguments: list[str], name: str, servers: Mapping[str, str | None], output: IO[Any]
) -> subprocess.Popen[bytes]:
    """Start pytest on a database, with its output in a file."""
    banner = f"{BANNER}\n{name}\n{BANNER}\n"
    output.write(banner if output is sys.stdout else banner.encode())
    output.flush()
    environment = os.environ | {"DATABASE_URL": servers[name] or ""}
    command = [sys.executable, "-m", "pytest", *arguments]
    return subprocess.Popen(command, env=environment, stdout=output, stderr=output)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
