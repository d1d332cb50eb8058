"""A contender for throughput: how its backlog is filled, drained and checked."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from benchmarks.databases import connected
from benchmarks.processes import python

# Otherwise a checkpoint or a vacuum after the load would run during the measurement.
SETTLE = {"postgresql": ["CHECKPOINT"], "sqlite": ["PRAGMA wal_checkpoint(TRUNCATE)"]}
ANALYZE = {"postgresql": ["VACUUM ANALYZE"], "sqlite": ["ANALYZE"]}
IsEmpty = Callable[[], bool]


class Backlog(Protocol):
    """The store in which jobs wait."""

    def clear(self) -> None:
        """Remove the jobs of earlier runs."""

    def settle(self) -> None:
        """Prepare the store after the load."""

    def watched(self) -> AbstractContextManager[IsEmpty]:
        """Yield a function that returns whether all jobs are done."""


@dataclass(frozen=True)
class SqlBacklog:
    """Jobs in a database; the query `unfinished` selects those that are not done."""

    address: str
    unfinished: str
    clear_with: Sequence[str]
    settle_with: Sequence[str] = ()
    has_statistics: bool = True

    def clear(self) -> None:
        """Remove the jobs of earlier runs."""
        self._execute(self.clear_with)

    def settle(self) -> None:
        """Write out the changes of the load, and run ANALYZE if the shape has statistics."""
        vendor = self.address.partition(":")[0]
        analyze = ANALYZE.get(vendor, []) if self.has_statistics else []
        self._execute(self.settle_with or [*analyze, *SETTLE.get(vendor, [])])

    @contextmanager
    def watched(self) -> Iterator[IsEmpty]:
        """Yield a function that returns whether all jobs are done."""
        with connected(self.address) as cursor:

            def is_empty() -> bool:
                cursor.execute(f"SELECT NOT EXISTS ({self.unfinished})")
                return bool(cursor.fetchone()[0])

            yield is_empty

    def _execute(self, statements: Sequence[str]) -> None:
        with connected(self.address) as cursor:
            for statement in statements:
                cursor.execute(statement)


@dataclass(frozen=True)
class Drainer:
    """A contender with its worker processes, and the kind of job that they run.

    `module` has a function `fill(job, count)`, which schedules a backlog. `has_bulk` means that it
    can schedule many jobs at once.
    """

    name: str
    settings: str
    job: str
    module: str
    workers: Sequence[Sequence[str]]
    backlog: Backlog
    has_bulk: bool = True
    env: Mapping[str, str] = field(default_factory=dict)

    def fill(self, count: int) -> list[str]:
        """Return the command that schedules `count` jobs."""
        return python("-m", "benchmarks.throughput.fill", self.module, self.job, str(count))
