"""Eight worker processes against one PostgreSQL."""

from benchmarks.throughput.figures import OURS, Bound, Figure
from benchmarks.throughput.in_turn import drain_in_turn
from benchmarks.throughput.ours import ours, project
from benchmarks.throughput.plan import Plan

TITLE = "Many processes, PostgreSQL"
NEEDS = ["postgresql"]
WHAT, DOUBLED = "no-op, a fleet", "jobs started twice"
FEW, MANY = 2, 8  # processes with one thread each
JOBS = 50_000
BOUNDS = [
    Bound(WHAT, least=1, whose=f"{OURS}, {MANY}", of=f"{OURS}, {FEW}"),
    Bound(DOUBLED, most=0, whose=f"{OURS}, {MANY}"),
]


def measure(plan: Plan) -> list[Figure]:
    """Drain the same number of jobs with few processes and with many."""
    with project("postgresql", plan.shape) as env:
        drainers = [ours(env, "noop", processes, 1) for processes in (FEW, MANY)]
        figures = drain_in_turn({WHAT: drainers}, plan, count=plan.many(JOBS))
    doubled = [
        Figure(DOUBLED, figure.who, unit="jobs", jobs=figure.jobs, values=[figure.doubled])
        for figure in figures
    ]
    return [*figures, *doubled]
