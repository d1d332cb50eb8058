"""Let workers run all kinds of jobs for long, and tell whether all is exact and flat.

The workers are killed and stopped, their lines are cut, and their server, a PostgreSQL that is
started for this, is restarted. Exits with 1 if there is any fault.
"""

import argparse
import os
import random
import signal
import sys

import django

from tests.support.servers import postgresql_from_wheel


def main(arguments: list[str]) -> int:
    """Run the soak and return an exit code."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # by way of `finally`
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
    add("--jobs", type=int, default=200_000, help="How many jobs (200000).")
    add("--seconds", type=float, default=1200, help="For how long they become due (1200).")
    add("--seed", type=int, default=random.randrange(10**6), help="Repeats a run.")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
