"""Jobs that do nothing, 10,000 to 1,000,000 of them due at once, on PostgreSQL."""

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
FEW, MOST = 10_000, 1_000_000
SIZES = [FEW, 100_000, MOST]
ONCE = 500_000  # from so many jobs on a drain is long enough to be measured once
LEAST = {1: 1.8, 2: 1.6}  # times the rival
BOUNDS = [
    *(
        Bound(WHAT[count], least=LEAST[count], whose=f"{OURS}, {size:,}", of=f"{RIVAL}, {size:,}")
        for count in WHAT
        for size in SIZES
    ),
    *(
        Bound(what, least=0.85, whose=f"{OURS}, {MOST:,}", of=f"{OURS}, {FEW:,}")
        for what in WHAT.values()
    ),
]


def measure(plan: Plan) -> list[Figure]:
    """Drain one size after the other, ours and the rival's in turn."""
    names = [RIVAL] if plan.with_peers else []
    figures = []
    with project("postgresql", plan.shape) as env, peers.drainers(names, "noop") as theirs:
        for size in SIZES:
            groups = {
                what: [_of(size, ours(env, "noop", count, 1)), *_all_of(size, theirs[count])]
                for count, what in WHAT.items()
            }
            jobs = plan.many(size)
            once = replace(plan, runs=1) if jobs >= ONCE else plan
            figures += drain_in_turn(groups, once, count=jobs)
    return sorted(figures, key=lambda figure: figure.what)


def _all_of(size: int, drainers: list[Drainer]) -> list[Drainer]:
    return [_of(size, one) for one in drainers]


def _of(size: int, drainer: Drainer) -> Drainer:
    who = drainer.name.partition(",")[0]
    return replace(drainer, name=f"{who}, {size:,} due")
