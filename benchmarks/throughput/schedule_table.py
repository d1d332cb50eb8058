"""The rate of scheduling on PostgreSQL, one by one and in bulk."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from subprocess import CalledProcessError

from benchmarks import peers
from benchmarks.processes import python, run
from benchmarks.throughput.drainer import Drainer
from benchmarks.throughput.figures import OURS, Bound, Figure
from benchmarks.throughput.ours import emptied, ours, project
from benchmarks.throughput.plan import Plan

TITLE = "Scheduling, PostgreSQL"
NEEDS = ["postgresql"]
PEERS = ["django_tasks_db", "django_ox", "pgqueuer"]
ONE, MANY = "one by one, autocommit", "10,000 at once"
BARE = "bare ORM create()"
BOUNDS = [
    Bound(ONE, least=1.3, of="django-tasks-db"),
    Bound(ONE, least=0.8, of=BARE),
    Bound(MANY, least=0.8, of="pgqueuer"),
]


@dataclass(frozen=True)
class Scheduler:
    """A contender: a module with `scheduler(how)`, and the store that it fills."""

    figure: Figure
    module: str
    how: str
    store: Drainer
    times: int

    def run(self) -> None:
        """Measure once, with an empty store."""
        self.store.backlog.clear()
        self.store.backlog.settle()
        count = self.figure.jobs // self.times
        command = ["-m", "benchmarks.throughput.pace", self.module, self.how, str(count)]
        try:
            printed = run(python(*command, str(self.times)), self.store.env)
        except CalledProcessError as error:
            print(f"*** {self.figure.what}, {self.figure.who} failed: {error} ***", flush=True)
        else:
            self.figure.values.append(float(printed))


def measure(plan: Plan) -> list[Figure]:
    """Schedule no-op jobs with one contender after the other."""
    with _schedulers(plan) as schedulers:
        for number in range(plan.runs):
            for scheduler in schedulers:
                scheduler.run()
            print(f"  run {number + 1} of {plan.runs} done", flush=True)
    return [scheduler.figure for scheduler in schedulers]


@contextmanager
def _schedulers(plan: Plan) -> Iterator[list[Scheduler]]:
    names = PEERS if plan.with_peers else []
    singles, times = plan.many(4_000), 2 if plan.is_quick else 5

    def one(who: str, module: str, store: Drainer, how: str = "one by one") -> Scheduler:
        return Scheduler(Figure(ONE, who, jobs=singles), module, how, store, 1)

    def many(who: str, module: str, store: Drainer) -> Scheduler:
        return Scheduler(Figure(MANY, who, jobs=10_000 * times), module, "at once", store, times)

    with project("postgresql", plan.shape) as env, peers.drainers(names, "noop") as theirs:
        module = "benchmarks.project.scheduling"
        own = ours(env, "noop", 1, 1)
        own.backlog.clear_with.extend(emptied(env, "benchmarks_project_widerow"))
        yield [
            one(OURS, module, own),
            one(BARE, module, own, "bare"),
            *(one(store.name, store.module, store) for store in theirs[1]),
            many(OURS, module, own),
            *(many(store.name, store.module, store) for store in theirs[1] if store.has_bulk),
        ]
