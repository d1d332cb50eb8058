"""The options of the command line."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.shape import DEFAULT_SHAPE, Shape


@dataclass(frozen=True)
class Plan:
    """The number of runs, the databases and the sizes of a measurement."""

    runs: int
    is_quick: bool
    with_peers: bool
    databases: Sequence[str]
    shape: Shape = DEFAULT_SHAPE

    @property
    def seconds(self) -> float:
        """The minimum duration of a drain whose number of jobs is not fixed."""
        return 0.4 if self.is_quick else 1.0

    def many(self, count: int) -> int:
        """Return the number of jobs or rows to measure: `count`, or fewer if it is quick."""
        return count // 20 if self.is_quick else count
