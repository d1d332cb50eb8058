"""What the command line asks for."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.shape import USUAL, Shape


@dataclass(frozen=True)
class Plan:
    """How often, how long and on what is measured."""

    runs: int
    is_quick: bool
    with_peers: bool
    databases: Sequence[str]
    shape: Shape = USUAL

    @property
    def seconds(self) -> float:
        """For how long a drain lasts at least, where the number of jobs is free."""
        return 0.4 if self.is_quick else 1.0

    def many(self, count: int) -> int:
        """Return the number of jobs or rows to measure where `count` is what is asked for."""
        return count // 20 if self.is_quick else count
