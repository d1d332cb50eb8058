"""One whose backlog is drained: how it is filled, worked off and known to be empty."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from benchmarks.databases import connected
from benchmarks.processes import python

# A checkpoint or a vacuum that the load sets off would fall into the measurement.
SETTLE = {"postgresql": ["CHECKPOINT"], "sqlite": ["PRAGMA wal_checkpoint(TRUNCATE)"]}
ANALYZE = {"postgresql": ["VACUUM ANALYZE"], "sqlite": ["ANALYZE"]}
IsEmpty = Callable[[], bool]


class Backlog(Protocol):
    """Where jobs wait, and where it shows that none is left."""

    def clear(self) -> None:
        """Remove what earlier runs left."""

    def settle(self) -> None:
        """Let the store take note of what has been loaded."""

    def watched(self) -> AbstractContextManager[IsEmpty]:
        """Yield what tells whether all is done."""


@dataclass(frozen=True)
class SqlBacklog:
    """Jobs in a database: `left` selects those that are not done."""

    address: str
    left: str
    clear_with: Sequence[str]
    settle_with: Sequence[str] = ()
    has_statistics: bool = True

    def clear(self) -> None:
        """Remove what earlier runs left."""
        self._execute(self.clear_with)

    def settle(self) -> None:
        """Write out what the load has changed, and take statistics if there should be any."""
        vendor = self.address.partition(":")[0]
        analyze = ANALYZE.get(vendor, []) if self.has_statistics else []
        self._execute(self.settle_with or [*analyze, *SETTLE.get(vendor, [])])

    @contextmanager
    def watched(self) -> Iterator[IsEmpty]:
        """Yield what tells whether no job is left."""
        with connected(self.address) as cursor:

            def is_empty() -> bool:
                cursor.execute(f"SELECT NOT EXISTS ({self.left})")
                return bool(cursor.fetchone()[0])

            yield is_empty

    def _execute(self, statements: Sequence[str]) -> None:
        with connected(self.address) as cursor:
            for statement in statements:
                cursor.execute(statement)


@dataclass(frozen=True)
class Drainer:
    """A contender with so many processes, and the kind of job that it is given.

    `module` has a function `fill(job, count)`, which schedules a backlog. With `has_bulk` it can
    schedule many jobs at once.
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
        """Return the command that schedules so many jobs."""
        return python("-m", "benchmarks.throughput.fill", self.module, self.job, str(count))
