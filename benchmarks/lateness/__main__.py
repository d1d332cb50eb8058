"""Measure how late jobs start: `python -m benchmarks.lateness [--only ...] [--quick]`."""

import json
import time
from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

from benchmarks.contender import Contender, django_future, far_away
from benchmarks.databases import describe_database
from benchmarks.lateness.idle import Idleness, measure_idle
from benchmarks.lateness.recurring import measure_both
from benchmarks.lateness.report import (
    AHEAD,
    FAR,
    MILLION,
    NOW,
    ONE_OFF,
    RECURRING,
    idle_table,
    lateness_table,
)
from benchmarks.lateness.sample import Sample, measure
from benchmarks.machine import describe_machine, versions
from benchmarks.peers import missing
from benchmarks.processes import ended_by_signals, python, run
from benchmarks.servers import TITLES, servers

PARTS = ("late", "far", "now", "recurring", "idle", "million")
DISTANCE_SECONDS = 0.05  # each way


def main() -> None:
    """Measure the parts on the command line, and print the tables."""
    options = _options()
    began_at = time.monotonic()
    with ended_by_signals(), servers(options.database) as options.database:
        _print_settings(options)
        samples, idlenesses = _measure_all(options)
    if samples:
        print(f"\n{lateness_table(samples)}")
    if idlenesses:
        print(f"\n{idle_table(idlenesses)}")
    print(f"\n{time.monotonic() - began_at:.0f} s in all, including loading and set-up.")
    if options.json:
        rows = {"samples": samples, "idle": idlenesses}
        raw = {name: [asdict(row) for row in found] for name, found in rows.items()}
        options.json.write_text(json.dumps({"machine": describe_machine(), **raw}, indent=1))


def _measure_all(options: Namespace) -> tuple[list[Sample], list[Idleness]]:
    with ExitStack() as stack:
        ours = {name: stack.enter_context(django_future(name)) for name in options.database}
        peers = _peers(stack, with_postgresql="postgresql" in ours) if options.peers else []
        return _measure(options, ours, peers)


def _options() -> Namespace:
    parser = ArgumentParser(prog="python -m benchmarks.lateness", description=__doc__)
    add = parser.add_argument
    add("--only", type=_names_of(PARTS), default=PARTS, help=f"Some of {','.join(PARTS)}.")
    add("--database", type=_names_of(TITLES), default=list(TITLES),
        help=f"Some of {','.join(TITLES)}.")  # fmt: skip
    add("--runs", type=int, default=1, help="How often each is measured, alternating (1).")
    add("--quick", action="store_true", help="Fewer jobs, fewer waiting jobs, a shorter idle time.")
    add("--peers", action=BooleanOptionalAction, default=True, help="Measure the peers too.")
    add("--json", type=Path, help="Write every number to this file.")
    options = parser.parse_args()
    options.seconds, options.now_seconds = (5, 5) if options.quick else (20, 15)
    options.waiting, options.idle_seconds = (10_000, 10) if options.quick else (1_000_000, 60)
    return options


def _names_of(known: Iterable[str]):
    def names(text: str) -> list[str]:
        found = text.split(",")
        if unknown := set(found) - set(known):
            raise ValueError(unknown)
        return found

    return names


def _print_settings(options: Namespace) -> None:
    packages = ["django-future", "Django", "psycopg", "PyMySQL", "celery", "redis", "huey"]
    print(describe_machine())
    print(versions(*packages))
    print(", ".join(map(describe_database, options.database)))
    print(
        f"{25 * options.seconds} jobs at random times over {options.seconds} s, scheduled 2 s "
        f"ahead; 20 '0s' jobs a second for {options.now_seconds} s; "
        f"{125} recurring jobs, each every 5 s for {options.seconds} s; "
        f"{options.waiting:,} jobs waiting; "
        f"{options.runs} run(s), each with a new worker that has run 20 jobs before."
    )
    print(
        "Ours: future_worker --no-reload -v0, default settings (4 threads). "
        "Celery: prefork, concurrency 1, results ignored, its own Redis without saving. "
        "huey: one thread woken by NOTIFY, results off."
    )


def _peers(stack: ExitStack, *, with_postgresql: bool) -> list[Contender]:
    peers = []
    for name in ("celery", *(["huey_postgresql"] if with_postgresql else [])):
        if packages_missing := missing(name):
            print(f"\n*** {name} is SKIPPED: {', '.join(packages_missing)} is missing. ***\n")
        else:
            set_up = getattr(import_module(f"benchmarks.peers.{name}"), name)
            peers.append(stack.enter_context(set_up()))
    return peers


def _measure(
    options: Namespace, ours: dict[str, Contender], peers: list[Contender]
) -> tuple[list[Sample], list[Idleness]]:
    samples, idlenesses = [], []
    seconds, now_seconds = options.seconds, options.now_seconds
    on_postgresql = [ours["postgresql"]] if "postgresql" in ours else []
    if {"late", "million"} & set(options.only):  # the part `million` is compared with `late`
        compared = peers if "late" in options.only else []
        samples += _alternate(options, AHEAD, [*ours.values(), *compared], "ahead", 25, seconds)
    if "far" in options.only:
        samples += _measure_far(options, [one for name, one in ours.items() if name != "sqlite"])
    if "now" in options.only:
        samples += _alternate(options, NOW, [*on_postgresql, *peers], "now", 20, now_seconds)
    if "recurring" in options.only:
        samples += _measure_recurring(options, list(ours.values()))
    if "idle" in options.only:
        idlenesses = measure_idle([*ours.values(), *peers], options.idle_seconds)
    if "million" in options.only:
        for one in ours.values():
            run(python("-m", "benchmarks.project.fill", str(options.waiting)), one.env)
        samples += _alternate(options, MILLION, list(ours.values()), "ahead", 25, seconds)
    return samples, idlenesses


def _measure_far(options: Namespace, ours: list[Contender]) -> list[Sample]:
    with ExitStack() as stack:
        far = [stack.enter_context(far_away(one, DISTANCE_SECONDS)) for one in ours]
        return _alternate(options, FAR, far, "ahead", 25, options.seconds)


def _measure_recurring(options: Namespace, ours: list[Contender]) -> list[Sample]:
    samples = [(Sample(RECURRING, one.name), Sample(ONE_OFF, one.name)) for one in ours]
    for number in range(options.runs):
        for one, (runs, jobs) in zip(ours, samples, strict=True):
            measure_both(runs, jobs, one, 25, options.seconds)
            print(f"  {RECURRING}, {one.name}: run {number + 1} done", flush=True)
    return [sample for pair in samples for sample in pair]


def _alternate(
    options: Namespace, what: str, all_: list[Contender], mode: str, rate: int, seconds: int
) -> list[Sample]:
    samples = [Sample(what, one.name) for one in all_]
    for number in range(options.runs):
        for one, sample in zip(all_, samples, strict=True):
            measure(sample, one, mode, rate * seconds, seconds)
            print(f"  {what}, {one.name}: run {number + 1} done", flush=True)
    return samples


if __name__ == "__main__":
    main()
