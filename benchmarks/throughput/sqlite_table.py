"""No-op jobs, and jobs that insert one row, on SQLite in WAL mode."""

from benchmarks import peers
from benchmarks.throughput.figures import Bound, Figure
from benchmarks.throughput.in_turn import drain_in_turn
from benchmarks.throughput.ours import BARE, bare_loop, ours, project
from benchmarks.throughput.plan import Plan

TITLE = "SQLite (WAL, synchronous=NORMAL)"
NEEDS = ["sqlite"]
NOOP, INSERT = "SQLite, no-op", "SQLite, INSERT"
BOUNDS = [
    Bound(NOOP, least=3, of="huey, durable"),
    Bound(INSERT, least=0.7, of=BARE),
]


def measure(plan: Plan) -> list[Figure]:
    """Drain both kinds of jobs with one thread, because more would wait for each other."""
    names = ["huey"] if plan.with_peers else []
    with project("sqlite", plan.shape) as env, peers.drainers(names, "noop") as theirs:
        groups = {
            NOOP: [ours(env, "noop", 1, 1), *theirs[1]],
            INSERT: [ours(env, "insert", 1, 1), bare_loop(env, "insert")],
        }
        return drain_in_turn(groups, plan)
