"""The memory of a worker process: after few and many jobs, and with a million waiting."""

from benchmarks.processes import peak_memory, run, running
from benchmarks.shape import Shape
from benchmarks.throughput.crowd import crowded
from benchmarks.throughput.drain import starts_file, wait_until_empty
from benchmarks.throughput.figures import OURS, Bound, Figure
from benchmarks.throughput.plan import Plan

TITLE = "Memory of a worker process, PostgreSQL"
NEEDS = ["postgresql"]
WHAT = "peak memory"
FEW, MANY, MILLION = 10_000, 100_000, 1_000_000
THREADS = 4
BOUNDS = [
    Bound(WHAT, most=60, whose=f"{OURS}, after many"),
    Bound(WHAT, most=60, whose=f"{OURS}, a million"),
    Bound(WHAT, most=1.1, whose=f"{OURS}, after many", of=f"{OURS}, after few"),
    Bound(WHAT, most=1.1, whose=f"{OURS}, a million", of=f"{OURS}, after few"),
]


def measure(plan: Plan) -> list[Figure]:
    """Run one worker on an empty table, and one on a crowded one."""
    few, many = plan.many(FEW), plan.many(MANY)
    after_few, after_many = _peaks(0, [few, many - few], plan.shape)
    (crowded_few,) = _peaks(plan.many(MILLION), [few], plan.shape)
    return [
        _figure("after few jobs", few, after_few),
        _figure("after many jobs", many, after_many),
        _figure("a million waiting", few, crowded_few),
    ]


def _peaks(waiting: int, counts: list[int], shape: Shape) -> list[float]:
    """Return the peak memory of one worker after each further number of jobs."""
    peaks = []
    crowd = crowded("postgresql", waiting, "waiting", THREADS, shape)
    with crowd as drainer, starts_file() as path:
        drainer.backlog.clear()
        env = {**drainer.env, "STARTS_FILE": str(path)}
        command = [part for part in drainer.workers[0] if part != "--burst"]
        with running(command, env) as worker, drainer.backlog.watched() as is_empty:
            for number, count in enumerate(counts, start=1):
                run(drainer.fill(count), env)
                wait_until_empty(path, sum(counts[:number]), is_empty, [worker])
                peaks.append(peak_memory(worker.pid))
    return peaks


def _figure(when: str, jobs: int, peak: float) -> Figure:
    settings = f"future_worker --no-reload -v0 --threads {THREADS}, one process for all jobs"
    return Figure(WHAT, f"{OURS}, {when}", settings, unit="MiB", jobs=jobs, values=[peak])
