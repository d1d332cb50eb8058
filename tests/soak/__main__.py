"""Run all kinds of jobs for long, and report lost jobs and growth of memory or sessions.

The workers are killed and suspended, their connections are cut, and their temporary PostgreSQL
server is restarted. Exits with 1 if there is any fault.
"""

import argparse
import os
import random
import signal
import sys

import django

from tests.support.servers import postgresql_from_wheel


def main(arguments: list[str]) -> int:
    """Run the soak, and return an exit code."""
    signal.signal(
        signal.SIGTERM, lambda number, _: sys.exit(128 + number)
    )  # so that `finally` runs
    options = _parser().parse_args(arguments)
    print(f"seed {options.seed}", flush=True)
    with postgresql_from_wheel() as url:
        os.environ |= {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "tests.settings"}
        django.setup()
        from tests.soak.trial import Plan, run

        return run(Plan(**vars(options)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    add = parser.add_argument
    add("--jobs", type=int, default=200_000, help="The number of jobs (default: 200000).")
    add(
        "--seconds",
        type=float,
        default=1200,
        help="The period in seconds over which they are due (default: 1200).",
    )
    add("--seed", type=int, default=random.randrange(10**6), help="Repeat the run of this seed.")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
