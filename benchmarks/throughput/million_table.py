"""A drain with a million future jobs, or a million finished jobs, in the table."""

from contextlib import ExitStack

from benchmarks.servers import TITLES
from benchmarks.throughput.crowd import crowded
from benchmarks.throughput.figures import OURS, Bound, Figure
from benchmarks.throughput.in_turn import drain_in_turn
from benchmarks.throughput.plan import Plan

TITLE = "No-op jobs, with a million other jobs"
NEEDS: list[str] = []
MILLION = 1_000_000
STATES = ["waiting", "finished"]
WHAT = {name: f"{title}, no-op" for name, title in TITLES.items()}
BOUNDS = [
    Bound(what, least=0.9, whose=f"{OURS}, ", whose_end=state, of=f"{OURS}, empty")
    for what in WHAT.values()
    for state in STATES
]


def measure(plan: Plan) -> list[Figure]:
    """Drain no-op jobs from three tables alternately, on one database after the other."""
    return [figure for name in plan.databases for figure in _measure_on(name, plan)]


def _measure_on(name: str, plan: Plan) -> list[Figure]:
    others = plan.many(MILLION)
    with ExitStack() as stack:
        drainers = [
            stack.enter_context(crowded(name, count, state, threads=1, shape=plan.shape))
            for state, count in [("waiting", 0), *((state, others) for state in STATES)]
        ]
        return drain_in_turn({WHAT[name]: drainers}, plan)
