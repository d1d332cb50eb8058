"""Jobs that insert one row, on PostgreSQL."""

from benchmarks import peers
from benchmarks.throughput.figures import Bound, Figure
from benchmarks.throughput.in_turn import drain_in_turn
from benchmarks.throughput.ours import BARE, bare_loop, ours, project
from benchmarks.throughput.plan import Plan

TITLE = "One ORM INSERT a job, PostgreSQL"
NEEDS = ["postgresql"]
PEERS = {1: ["pgqueuer"], 2: ["django_ox", "django_tasks_db"]}  # by processes
WHAT = {1: "INSERT, 1 process", 2: "INSERT, 2 processes"}
OURS = {1: [(1, 1), (1, 4)], 2: [(2, 4)]}  # processes and threads
BOUNDS = [
    Bound(WHAT[1], least=0.75, of=BARE),
    Bound(WHAT[2], least=3, of="django-ox"),
    Bound(WHAT[2], least=3, of="django-tasks-db"),
]


def measure(plan: Plan) -> list[Figure]:
    """Drain jobs that insert. Ours commits the row and the completion in one transaction."""
    names = PEERS if plan.with_peers else {1: [], 2: []}
    with (
        project("postgresql", plan.shape) as env,
        peers.drainers(names[1], "insert") as alone,
        peers.drainers(names[2], "insert") as in_pairs,
    ):
        theirs = {1: alone[1], 2: in_pairs[2]}
        groups = {
            what: [*(ours(env, "insert", *each) for each in OURS[count]), *theirs[count]]
            for count, what in WHAT.items()
        }
        groups[WHAT[1]].append(bare_loop(env, "insert"))
        return drain_in_turn(groups, plan)
