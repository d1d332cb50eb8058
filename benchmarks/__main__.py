"""Measure the throughput of django-future and its peers: `python -m benchmarks [TABLE ...]`."""

import json
import sys
import time
from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from dataclasses import asdict
from pathlib import Path
from subprocess import CalledProcessError

from benchmarks.databases import describe_database
from benchmarks.machine import describe_disk, describe_machine, versions
from benchmarks.processes import ended_by_signals
from benchmarks.servers import TITLES, servers
from benchmarks.shape import STATISTICS, Shape
from benchmarks.throughput import tables
from benchmarks.throughput.drain import Unfinished
from benchmarks.throughput.figures import Figure, bounds_table, figures_table, settings_list
from benchmarks.throughput.plan import Plan

PACKAGES = [
    "django-future", "Django", "psycopg", "PyMySQL", "pgqueuer", "asyncpg", "celery", "redis",
    "django-ox", "django-tasks-db", "django-dbtasks", "procrastinate", "huey",
]  # fmt: skip


def main() -> None:
    """Measure the tables on the command line, and print them."""
    options = _options()
    began_at = time.monotonic()
    with ended_by_signals(), servers(options.database) as databases:
        shape = Shape(options.queues, options.priorities, options.statistics)
        plan = Plan(options.runs, options.quick, options.peers, databases, shape)
        description = _describe(plan)
        print(description, flush=True)
        measured = {name: _measure(name, plan) for name in options.table or tables.DEFAULT}
    verdicts = [line for name in measured for line in _verdicts(name, measured[name])]
    print(f"\n## Bounds\n\n{bounds_table(verdicts)}")
    print(f"\n{sum(line[-1] == 'yes' for line in verdicts)} of {len(verdicts)} hold.")
    print(f"{time.monotonic() - began_at:.0f} s in all.")
    if options.json:
        rows = {name: [asdict(figure) for figure in measured[name]] for name in measured}
        raw = {"about": description, "tables": rows, "bounds": verdicts}
        options.json.write_text(json.dumps(raw, indent=1))


def _options() -> Namespace:
    parser = ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = parser.add_argument
    known = [*tables.DEFAULT, *tables.ALONE]
    which = f"Some of {', '.join(known)}; {len(tables.DEFAULT)} of them by default."
    add("table", nargs="*", type=_one_of(known), default=[], help=which)
    add("--database", action="append", choices=TITLES, default=[], help="May be repeated (all).")
    add("--runs", type=int, default=3, help="How often each is measured, alternating (3).")
    add("--quick", action="store_true", help="Fewer jobs and rows, to check that it works.")
    add("--peers", action=BooleanOptionalAction, default=True, help="Measure the peers too.")
    add("--queues", type=int, default=1, help="How many queues our jobs are in (1).")
    add("--priorities", type=int, default=1, help="How many priorities our jobs have (1).")
    add("--statistics", choices=STATISTICS, default="missing",
        help="Whether to ANALYZE our tables after they are loaded.")  # fmt: skip
    add("--json", type=Path, help="Write every number to this file.")
    options = parser.parse_args()
    options.database = options.database or list(TITLES)
    return options


def _one_of(known: list[str]):
    def name(text: str) -> str:
        if text not in known:
            raise ValueError(text)
        return text

    return name


def _describe(plan: Plan) -> str:
    how = (
        f"{plan.runs} run(s) of each, alternating{', QUICK' if plan.is_quick else ''}; the start of"
        " a job is 16 bytes in a file; rates count from the first start until no job waits."
    )
    server_versions = ", ".join(map(describe_database, plan.databases))
    return "\n\n".join(
        [
            describe_machine(),
            describe_disk(),
            versions(*PACKAGES),
            f"{server_versions}; default settings",
            f"Our tables: {plan.shape}; the peers' are analyzed after they are loaded.",
            how,
        ]
    )


def _measure(name: str, plan: Plan) -> list[Figure]:
    began_at, table = time.monotonic(), tables.table(name)
    print(f"\n## {table.TITLE}\n", flush=True)
    if lacking := set(table.NEEDS) - set(plan.databases):
        print(f"*** SKIPPED: it needs {', '.join(TITLES[name] for name in lacking)}. ***")
        return []
    try:
        figures = table.measure(plan)
    except (Unfinished, CalledProcessError) as error:
        print(f"*** FAILED: {error} ***", flush=True)
        return []
    print(f"\n{figures_table(figures)}\n\n{settings_list(figures)}")
    if verdicts := _verdicts(name, figures):
        print(f"\n{bounds_table(verdicts)}")
    print(f"\n{time.monotonic() - began_at:.0f} s", flush=True)
    return figures


def _verdicts(name: str, figures: list[Figure]) -> list[list[str]]:
    return [bound.check(figures) for bound in tables.table(name).BOUNDS]


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("Interrupted; all processes of the benchmark have ended.")
