"""No-op jobs on PostgreSQL, with and without a log line for each."""

from dataclasses import replace

from benchmarks.throughput.figures import OURS, Bound, Figure
from benchmarks.throughput.in_turn import drain_in_turn
from benchmarks.throughput.ours import ours, project
from benchmarks.throughput.plan import Plan

TITLE = "No-op jobs at the default verbosity, PostgreSQL"
NEEDS = ["postgresql"]
WHAT = "no-op, 1 process"
LOUD, QUIET = f"{OURS}, a line for each job", f"{OURS}, quiet"
VERBOSITIES = {QUIET: 0, LOUD: 1}
JOBS = 50_000
BOUNDS = [Bound(WHAT, least=0.8, whose=LOUD, of=QUIET)]


def measure(plan: Plan) -> list[Figure]:
    """Drain the same jobs at both verbosities, alternating; the lines go to a file."""
    with project("postgresql", plan.shape) as env:
        drainers = [
            replace(ours(env, "noop", 1, 1, verbosity), name=name)
            for name, verbosity in VERBOSITIES.items()
        ]
        return drain_in_turn({WHAT: drainers}, plan, count=plan.many(JOBS))
