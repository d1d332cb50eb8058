"""No-op jobs, and jobs that insert one row, on MariaDB."""

from benchmarks.throughput.figures import Bound, Figure
from benchmarks.throughput.in_turn import drain_in_turn
from benchmarks.throughput.ours import BARE, bare_loop, ours, project
from benchmarks.throughput.plan import Plan

TITLE = "MariaDB, PyMySQL"
NEEDS = ["mariadb"]
NOOP, INSERT = "MariaDB, no-op", "MariaDB, INSERT"
OURS = [(1, 1), (1, 4)]  # processes and threads
BOUNDS = [
    Bound(NOOP, least=5_000),
    Bound(INSERT, least=0.6, of=BARE),
]


def measure(plan: Plan) -> list[Figure]:
    """Drain both kinds of jobs with one process."""
    with project("mariadb", plan.shape) as env:
        groups = {
            NOOP: [ours(env, "noop", *each) for each in OURS],
            INSERT: [*(ours(env, "insert", *each) for each in OURS), bare_loop(env, "insert")],
        }
        return drain_in_turn(groups, plan)
