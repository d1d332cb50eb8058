"""One trial on a new database, and its report: `python -m tests.chaos` calls this."""

import argparse
import signal
import sys
import time

import django

MAX_SHOWN = 20  # faults


def main(arguments: list[str]) -> int:
    """Run one trial on the server of DATABASE_URL, and return an exit code."""
    signal.signal(
        signal.SIGTERM, lambda number, _: sys.exit(128 + number)
    )  # so that `finally` runs
    django.setup()
    from django.db import connection

    from tests.chaos.trial import Plan, run
    from tests.settings import RUN, SCRATCH

    options = vars(_parser().parse_args(arguments))
    name, log = options.pop("name"), SCRATCH / f"chaos_{RUN}.log"
    database, started_at = connection.settings_dict["NAME"], time.monotonic()
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    try:
        trial = run(Plan(**options), log)
    finally:
        connection.creation.destroy_test_db(database, verbosity=0)
    _print_report(name, trial, time.monotonic() - started_at)
    if trial.verdict.faults:
        print(f"  the workers' log is {log}", flush=True)
        return 1
    log.unlink()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    for option in ("--jobs", "--seed", "--workers"):
        parser.add_argument(option, type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--break-fence", action="store_true")
    return parser


def _print_report(name, trial, seconds):
    verdict = trial.verdict
    print(f"{name}: {'LOST' if verdict.faults else 'nothing was lost'}, in {seconds:.0f} s")
    print(f"  disruptions: {_counts(trial.disruptions)}; {trial.processes} worker processes in all")
    print(f"  jobs: {_counts(verdict.states)}; {verdict.rescues} rescues, ", end="")
    print(f"{verdict.given_up} failed because too many workers died")
    for fault in verdict.faults[:MAX_SHOWN]:
        print(f"  FAULT: {fault}")
    if len(verdict.faults) > MAX_SHOWN:
        print(f"  and {len(verdict.faults) - MAX_SHOWN} more faults")
    sys.stdout.flush()


def _counts(counter):
    return ", ".join(f"{number} {name}" for name, number in sorted(counter.items()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
