"""No-op tasks of Django's Tasks API on PostgreSQL, with each backend."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from benchmarks import peers
from benchmarks.throughput.drainer import Drainer
from benchmarks.throughput.figures import OURS, Bound, Figure
from benchmarks.throughput.in_turn import drain_in_turn
from benchmarks.throughput.ours import ours, project
from benchmarks.throughput.plan import Plan
from benchmarks.throughput.schedule_table import Scheduler

TITLE = "Tasks of Django's Tasks API, PostgreSQL"
NEEDS = ["postgresql"]
BACKENDS = {
    "django_tasks_db": "django-tasks-db",
    "django_ox": "django-ox",
    "django_dbtasks": "django-dbtasks",
}
DRAIN, ENQUEUE = "no-op tasks, 1 process", "enqueue, autocommit"
TASK, JOB = f"{OURS}, a task", f"{OURS}, a job"
BOUNDS = [
    Bound(DRAIN, least=0.85, whose=TASK, of=JOB),
    *(Bound(DRAIN, least=10, whose=TASK, of=name) for name in BACKENDS.values()),
    # enqueue() may take 1.15 times as long as schedule_job().
    Bound(ENQUEUE, least=1 / 1.15, whose=TASK, of=JOB),
]


def measure(plan: Plan) -> list[Figure]:
    """Drain and enqueue no-op tasks with one backend after the other, and plain jobs."""
    names = list(BACKENDS) if plan.with_peers else []
    with _ours(plan) as (job, task), peers.drainers(names, "noop") as theirs:
        drained = drain_in_turn({DRAIN: [job, task, *theirs[1]]}, plan)
        return [*drained, *_enqueue_in_turn([job, task, *theirs[1]], plan)]


@contextmanager
def _ours(plan: Plan) -> Iterator[tuple[Drainer, Drainer]]:
    with project("postgresql", plan.shape) as env:
        job = ours(env, "noop", 1, 1)
        yield (
            replace(job, name=JOB),
            replace(job, name=TASK, module="benchmarks.project.task_backlog"),
        )


def _enqueue_in_turn(drainers: list[Drainer], plan: Plan) -> list[Figure]:
    count = plan.many(4_000)
    schedulers = [
        Scheduler(Figure(ENQUEUE, one.name, jobs=count), _module(one), "one by one", one, 1)
        for one in drainers
    ]
    for number in range(plan.runs):
        for scheduler in schedulers:
            scheduler.run()
        print(f"  run {number + 1} of {plan.runs} done", flush=True)
    return [scheduler.figure for scheduler in schedulers]


def _module(drainer: Drainer) -> str:
    return "benchmarks.project.scheduling" if drainer.name == JOB else drainer.module
