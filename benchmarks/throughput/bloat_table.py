"""A long drain while another session holds a transaction open, which prevents vacuum."""

from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.databases import connected
from benchmarks.throughput.drain import drain
from benchmarks.throughput.figures import OURS, Bound, Figure
from benchmarks.throughput.ours import ours, project
from benchmarks.throughput.plan import Plan

TITLE = "A transaction held open, PostgreSQL"
NEEDS = ["postgresql"]
WHAT = "no-op, vacuum held back"
FIRST, LAST = f"{OURS}, first tenth", f"{OURS}, last tenth"
JOBS = 100_000
BOUNDS = [Bound(WHAT, least=0.7, whose=LAST, of=FIRST)]


def measure(plan: Plan) -> list[Figure]:
    """Drain many jobs, and compare the rates of the first and the last tenth."""
    count = plan.many(JOBS)
    with project("postgresql", plan.shape) as env:
        drainer = ours(env, "noop", 1, 1)
        first = Figure(WHAT, FIRST, drainer.settings, jobs=count)
        last = Figure(WHAT, LAST, drainer.settings, jobs=count)
        for number in range(plan.runs):
            with _snapshot(env["DATABASE_URL"]):
                done = drain(drainer, count)
            first.values.append(done.rate_between(0, 0.1))
            last.values.append(done.rate_between(0.9, 1))
            print(f"  run {number + 1} of {plan.runs} done", flush=True)
    return [first, last]


@contextmanager
def _snapshot(address: str) -> Iterator[None]:
    with connected(address) as cursor:
        cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        cursor.execute("SELECT pg_current_xact_id()")
        yield
