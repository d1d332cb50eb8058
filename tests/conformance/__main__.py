"""Run the suite on each installed backend: `python -m tests.conformance [PYTHON ...]`.

Prints a table in Markdown. Each PYTHON is an interpreter of an environment with Django and
backends; without one, the present interpreter runs the suite. `--only NAME` runs one backend.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
COLUMNS = [
    "Backend",
    "Version",
    "Django",
    "Promises",
    "Customs",
    "Failed promises",
    "Failed customs",
]


def main():
    """Run the suite, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance")
    parser.add_argument("pythons", nargs="*", default=[sys.executable], metavar="PYTHON")
    parser.add_argument("--only", action="append", metavar="NAME")
    options = parser.parse_args()
    reports = [
        run(python, "run", name)
        for python in options.pythons
        for name in run(python, "adapters")
        if name in (options.only or [name])
    ]
    print(table(reports))
    databases = {report["database"] for report in reports}
    print(f"\nPassed / failed / not applicable, on {', '.join(databases)}.")
    return int(any(differences(report) for report in reports))


def run(python, module, *arguments):
    """Run a module of this package with an interpreter, and return what it prints as JSON."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    process = subprocess.run(
        [python, "-m", f"tests.conformance.{module}", *arguments],
        env=os.environ | {"PYTHONPATH": path},
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    if process.returncode:
        sys.exit(process.stderr)
    return json.loads(process.stdout)


def table(reports):
    """Return the table of the reports, in Markdown."""
    rows = [COLUMNS, ["---"] * len(COLUMNS), *map(row, reports)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def row(report):
    """Return the cells of a report."""
    package = f"{report['distribution']} {report['version']}"
    kinds = (report["promises"], report["customs"])
    counts = [count(report, tests) for tests in kinds]
    failures = [names(report["failed"].keys() & tests) for tests in kinds]
    return [report["backend"], package, report["django"], *counts, *failures]


def count(report, tests):
    """Return how many of the tests passed, failed, and do not apply."""
    failed = len(report["failed"].keys() & tests)
    skipped = len(report["not_applicable"].keys() & set(tests) - report["failed"].keys())
    return f"{len(tests) - failed - skipped} / {failed} / {skipped}"


def names(tests):
    """Return the names of the tests as sentences."""
    return "; ".join(sorted(test.removeprefix("test_").replace("_", " ") for test in tests))


def differences(report):
    """Return the names of the tests that fail unexpectedly, or pass unexpectedly."""
    return report["failed"].keys() ^ report["known_faults"].keys()


if __name__ == "__main__":
    sys.exit(main())
