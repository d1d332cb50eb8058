"""No-op jobs on PostgreSQL, with 10,000 to 1,000,000 jobs due."""

from dataclasses import replace

from benchmarks import peers
from benchmarks.throughput.drainer import Drainer
from benchmarks.throughput.figures import OURS, Bound, Figure
from benchmarks.throughput.in_turn import drain_in_turn
from benchmarks.throughput.ours import ours, project
from benchmarks.throughput.plan import Plan

TITLE = "No-op jobs, many of them due, PostgreSQL"
NEEDS = ["postgresql"]
RIVAL = "pgqueuer"
WHAT = {1: "many due, 1 process", 2: "many due, 2 processes"}
FEWEST, MOST = 10_000, 1_000_000
SIZES = [FEWEST, 100_000, MOST]
MEASURED_ONCE_FROM = 500_000  # jobs; a longer drain is measured only once
MIN_RATIO = {1: 1.8, 2: 1.6}  # to the rival
BOUNDS = [
    *(
        Bound(
            WHAT[count], least=MIN_RATIO[count], whose=f"{OURS}, {size:,}", of=f"{RIVAL}, {size:,}"
        )
        for count in WHAT
        for size in SIZES
    ),
    *(
        Bound(what, least=0.85, whose=f"{OURS}, {MOST:,}", of=f"{OURS}, {FEWEST:,}")
        for what in WHAT.values()
    ),
]


def measure(plan: Plan) -> list[Figure]:
    """Drain one size after the other, alternating with the rival."""
    names = [RIVAL] if plan.with_peers else []
    figures = []
    with project("postgresql", plan.shape) as env, peers.drainers(names, "noop") as theirs:
        for size in SIZES:
            groups = {
                what: [
                    _with_size(drainer, size)
                    for drainer in [ours(env, "noop", count, 1), *theirs[count]]
                ]
                for count, what in WHAT.items()
            }
            jobs = plan.many(size)
            once = replace(plan, runs=1) if jobs >= MEASURED_ONCE_FROM else plan
            figures += drain_in_turn(groups, once, count=jobs)
    return sorted(figures, key=lambda figure: figure.what)


def _with_size(drainer: Drainer, size: int) -> Drainer:
    who = drainer.name.partition(",")[0]
    return replace(drainer, name=f"{who}, {size:,} due")
