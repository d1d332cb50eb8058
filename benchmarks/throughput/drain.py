"""One drain: from the first start until the store is empty."""

import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.processes import run, running
from benchmarks.starts import count_starts, read_starts
from benchmarks.throughput.drainer import Drainer

GLANCE = 0.002  # seconds between looks at the notes and at the store
PATIENCE = 180  # seconds for the last job to end
LAST_WORDS = 1  # seconds in which a worker that has ended may still be seen to have done its work


class Unfinished(Exception):
    """Jobs were left when the workers, or our patience, had ended."""


@dataclass(frozen=True)
class Drain:
    """How `count` jobs were drained."""

    count: int
    starts: Sequence[tuple[float, int]]
    ended_at: float

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended_at - self.starts[0][0]

    @property
    def rate(self) -> float:
        """How many jobs were done in a second."""
        return self.count / self.seconds

    @property
    def doubled(self) -> int:
        """How many starts were not the first one of their job."""
        return len(self.starts) - len({number for _, number in self.starts})

    def rate_between(self, first: float, last: float) -> float:
        """Return how many jobs started in a second between two shares of all starts."""
        among = self.starts[int(first * len(self.starts)) : int(last * len(self.starts))]
        return (len(among) - 1) / (among[-1][0] - among[0][0])


def drain(drainer: Drainer, count: int) -> Drain:
    """Fill the backlog, start the workers, and wait until it is empty.

    Raises `Unfinished`.
    """
    drainer.backlog.clear()
    with notes() as path:
        env = {**drainer.env, "STARTS_FILE": str(path), "JOBS": str(count)}
        run(drainer.fill(count), env)
        drainer.backlog.settle()
        with ExitStack() as stack:
            is_empty = stack.enter_context(drainer.backlog.watched())
            workers = [stack.enter_context(running(one, env)) for one in drainer.workers]
            ended_at = wait_until_empty(path, count, is_empty, workers)
        return Drain(count, read_starts(path), ended_at)


@contextmanager
def notes() -> Iterator[Path]:
    """Yield the file in which the jobs note their starts."""
    with TemporaryDirectory(prefix="future-bench-") as folder:
        path = Path(folder) / "starts"
        path.touch()
        yield path


def wait_until_empty(
    path: Path,
    count: int,
    is_empty: Callable[[], bool],
    workers: Sequence[subprocess.Popen[bytes]],
) -> float:
    """Wait until all jobs have started and none is left, and return when that was.

    The store is not asked before the last start, so that asking costs the workers nothing.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        looked_at = time.time()
        if count_starts(path) >= count and is_empty():
            return looked_at
        if all(worker.poll() is not None for worker in workers):
            deadline = min(deadline, time.monotonic() + LAST_WORDS)
        if time.monotonic() > deadline:
            raise Unfinished(f"{count_starts(path)} of {count} jobs started.")
        time.sleep(GLANCE)
