"""No-op jobs on PostgreSQL."""

from benchmarks import peers
from benchmarks.throughput.figures import Bound, Figure
from benchmarks.throughput.in_turn import drain_in_turn
from benchmarks.throughput.ours import ours, project
from benchmarks.throughput.plan import Plan

TITLE = "No-op jobs, PostgreSQL"
NEEDS = ["postgresql"]
RIVALS = ["pgqueuer", "celery", "django_ox"]
OTHERS = ["django_tasks_db", "procrastinate"]  # measured with one process only
WHAT = {1: "no-op, 1 process", 2: "no-op, 2 processes"}
OURS = {1: [(1, 1), (1, 4)], 2: [(2, 1), (2, 4)]}  # processes and threads
BOUNDS = [
    Bound(WHAT[1], least=1.8, of="pgqueuer"),
    Bound(WHAT[1], least=10, of="Celery"),
    Bound(WHAT[1], least=25, of="django-ox"),
    Bound(WHAT[2], least=1.6, of="pgqueuer"),
    Bound(WHAT[2], least=10, of="Celery"),
    Bound(WHAT[2], least=25, of="django-ox"),
]


def measure(plan: Plan) -> list[Figure]:
    """Drain no-op jobs."""
    rivals, others = (RIVALS, OTHERS) if plan.with_peers else ([], [])
    with (
        project("postgresql", plan.shape) as env,
        peers.drainers(rivals, "noop") as theirs,
        peers.drainers(others, "noop") as more,
    ):
        groups = {
            what: [*(ours(env, "noop", *each) for each in OURS[count]), *theirs[count]]
            for count, what in WHAT.items()
        }
        groups[WHAT[1]] += more[1]
        return drain_in_turn(groups, plan)
