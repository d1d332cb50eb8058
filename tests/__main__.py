"""Run the tests on every available database: `python -m tests [pytest arguments]`."""

import os
import subprocess
import sys
from contextlib import ExitStack

from tests.support.servers import find_servers

BANNER = "=" * 80


def main(arguments: list[str]) -> int:
    """Run pytest once for each database, and return the highest exit code."""
    results = {}
    with ExitStack() as stack:
        servers = find_servers(stack)
        for name, url in servers.items():
            if url is None:
                print(
                    f"{BANNER}\nSKIPPED: no {name} server answers; its tests did not run\n{BANNER}"
                )
                results[name] = int(os.environ.get("CI") == "true")
                continue
            print(f"{BANNER}\n{name}\n{BANNER}", flush=True)
            command = [sys.executable, "-m", "pytest", *arguments]
            results[name] = subprocess.run(
                command, env=os.environ | {"DATABASE_URL": url}, check=False
            ).returncode
    for name, code in results.items():
        state = "skipped" if servers[name] is None else "failed" if code else "passed"
        print(f"{name}: {state}")
    return max(results.values())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
