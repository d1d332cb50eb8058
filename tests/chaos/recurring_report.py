"""One trial of recurring jobs on a new database: `python -m tests.chaos recurring` calls this."""

import argparse
import signal
import sys
import time

import django

from benchmarks.table import percentile
from tests.chaos.report import MAX_SHOWN

MAX_LATE_SECONDS = 1.0  # for a run whose worker was not disturbed


def main(arguments: list[str]) -> int:
    """Run one trial on the server of DATABASE_URL, and return an exit code."""
    signal.signal(
        signal.SIGTERM, lambda number, _: sys.exit(128 + number)
    )  # so that `finally` runs
    django.setup()
    from django.db import connection

    from tests.chaos.recurring import Plan, run
    from tests.settings import RUN, SCRATCH

    options = vars(_parser().parse_args(arguments))
    name, log = options.pop("name"), SCRATCH / f"chaos_recurring_{RUN}.log"
    database, started_at = connection.settings_dict["NAME"], time.monotonic()
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    try:
        trial = run(Plan(**options), log)
    finally:
        connection.creation.destroy_test_db(database, verbosity=0)
    late = [run.late for run in trial.undisturbed if run.late > MAX_LATE_SECONDS]
    if late:
        trial.faults.append(
            f"{len(late)} runs of undisturbed workers were more than {MAX_LATE_SECONDS:.0f} s late"
        )
    _print_report(name, trial, time.monotonic() - started_at)
    if trial.faults:
        print(f"  the workers' log is {log}", flush=True)
        return 1
    log.unlink()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    for option in ("--schedules", "--seed", "--workers", "--seconds"):
        parser.add_argument(option, type=int)
    parser.add_argument("--delete", action="store_true", dest="is_deleting")
    return parser


def _print_report(name, trial, seconds):
    disruptions = (f"{number} {what}" for what, number in sorted(trial.disruptions.items()))
    print(f"{name}: {'FAULTS' if trial.faults else 'each ran exactly once'}, in {seconds:.0f} s")
    print(f"  disruptions: {', '.join(disruptions)}; {trial.processes} worker processes in all")
    counts = trial.counts
    doubled = sum(number > 1 for number in counts.values())
    print(f"  runs: {trial.expected:,} expected, {len(counts):,} seen, {doubled:,} of them doubled")
    print(f"  late, workers undisturbed: {_spread(trial.undisturbed)}")
    print(f"  late, worker killed, stopped or suspended: {_spread(trial.disturbed)}")
    for fault in trial.faults[:MAX_SHOWN]:
        print(f"  FAULT: {fault}")
    if len(trial.faults) > MAX_SHOWN:
        print(f"  and {len(trial.faults) - MAX_SHOWN} more faults")
    sys.stdout.flush()


def _spread(runs):
    if not runs:
        return "no run"
    p50, p99, worst = (1000 * percentile((run.late for run in runs), n) for n in (50, 99, 100))
    return f"{len(runs):,} runs, p50 {p50:.1f} ms, p99 {p99:.1f} ms, worst {worst:.0f} ms"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
