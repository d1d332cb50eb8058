"""Drains and claims with more and more other jobs in the table. It takes hours."""

from statistics import median

from benchmarks.processes import python, run
from benchmarks.project.claims import WARM_UP_BATCHES
from benchmarks.servers import TITLES
from benchmarks.throughput.crowd import crowded
from benchmarks.throughput.drainer import Drainer
from benchmarks.throughput.figures import Bound, Figure
from benchmarks.throughput.in_turn import drain_in_turn
from benchmarks.throughput.plan import Plan

TITLE = "No-op jobs, with more and more other jobs"
NEEDS: list[str] = []
BOUNDS: list[Bound] = []
SIZES = [10_000, 100_000, 1_000_000, 5_000_000]
CROWDS = [(0, "waiting"), *((size, state) for state in ("waiting", "finished") for size in SIZES)]
BATCH, TIMES = 100, 30


def measure(plan: Plan) -> list[Figure]:
    """Measure one table after the other, because all of them together would fill the disk."""
    figures = []
    for name in plan.databases:
        for size, state in CROWDS:
            with crowded(name, plan.many(size), state, 1, plan.shape) as drainer:
                figures += drain_in_turn({f"{TITLES[name]}, drain": [drainer]}, plan)
                figures.append(_claims(f"{TITLES[name]}, claim of {BATCH}", drainer, plan))
    return sorted(figures, key=lambda figure: figure.what)


def _claims(what: str, drainer: Drainer, plan: Plan) -> Figure:
    figure = Figure(what, drainer.name, unit="ms", jobs=BATCH * TIMES)
    for _ in range(plan.runs):
        drainer.backlog.clear()
        run(drainer.fill(BATCH * (WARM_UP_BATCHES + TIMES)), drainer.env)
        drainer.backlog.settle()
        printed = run(
            python("-m", "benchmarks.project.claims", str(BATCH), str(TIMES)), drainer.env
        )
        figure.values.append(median(map(float, printed.split())))
    return figure
