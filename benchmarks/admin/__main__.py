"""Measure the pages of the admin on PostgreSQL: `python -m benchmarks.admin [--jobs N]`."""

import os
import subprocess
import sys
from argparse import ArgumentParser

from benchmarks.databases import describe_database, fresh_database
from benchmarks.machine import describe_machine, versions
from benchmarks.processes import ended_by_signals, python, run
from benchmarks.servers import servers


def main() -> int:
    """Start a server, fill a database, and print what each page costs."""
    parser = ArgumentParser(prog="python -m benchmarks.admin", description=__doc__)
    parser.add_argument("--jobs", type=int, default=1_000_000, help="Jobs in the queue (1000000).")
    options = parser.parse_args()
    with ended_by_signals(), servers(["postgresql"]) as available:
        if not available:
            return 1
        print(f"{describe_machine()}\n{versions('django-future', 'Django', 'psycopg')}")
        print(f"{describe_database('postgresql')}\n{options.jobs:,} jobs in one queue")
        with fresh_database("postgresql") as url:
            # A session of its own process, so that the connection persists for all requests.
            env = {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "benchmarks.admin.settings"}
            run(python("-m", "django", "migrate", "-v0"), env)
            command = python("-m", "benchmarks.admin.measure", str(options.jobs))
            return subprocess.run(command, env=os.environ | env, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
