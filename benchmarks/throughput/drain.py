"""One drain: from the first start until all jobs are done."""

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

POLL_SECONDS = 0.002  # between checks of the starts and of the store
MAX_WAIT_SECONDS = 180  # for the last job to end
GRACE_SECONDS = 1  # after the workers have ended, for their last jobs to show as done


class Unfinished(Exception):
    """Jobs remained when the workers ended or the time was over."""


@dataclass(frozen=True)
class Drain:
    """The starts and the end of a drain of `count` jobs."""

    count: int
    starts: Sequence[tuple[float, int]]
    ended_at: float

    @property
    def seconds(self) -> float:
        """The duration."""
        return self.ended_at - self.starts[0][0]

    @property
    def rate(self) -> float:
        """The jobs per second."""
        return self.count / self.seconds

    @property
    def doubled(self) -> int:
        """The number of repeated starts of jobs."""
        return len(self.starts) - len({number for _, number in self.starts})

    def rate_between(self, first: float, last: float) -> float:
        """Return the starts per second between two fractions of all starts."""
        among = self.starts[int(first * len(self.starts)) : int(last * len(self.starts))]
        return (len(among) - 1) / (among[-1][0] - among[0][0])


def drain(drainer: Drainer, count: int) -> Drain:
    """Fill the backlog, start the workers, and wait until it is empty.

    Raises `Unfinished` if jobs remain.
    """
    drainer.backlog.clear()
    with starts_file() as path:
        env = {**drainer.env, "STARTS_FILE": str(path), "JOBS": str(count)}
        run(drainer.fill(count), env)
        drainer.backlog.settle()
        with ExitStack() as stack:
            is_empty = stack.enter_context(drainer.backlog.watched())
            workers = [stack.enter_context(running(one, env)) for one in drainer.workers]
            ended_at = wait_until_empty(path, count, is_empty, workers)
        return Drain(count, read_starts(path), ended_at)


@contextmanager
def starts_file() -> Iterator[Path]:
    """Yield the file in which the jobs record their starts."""
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
    """Wait until all jobs are done, and return the time.

    The store is not queried before the last start, so that the queries do not slow the workers.
    """
    deadline = time.monotonic() + MAX_WAIT_SECONDS
    while True:
        checked_at = time.time()
        if count_starts(path) >= count and is_empty():
            return checked_at
        if all(worker.poll() is not None for worker in workers):
            deadline = min(deadline, time.monotonic() + GRACE_SECONDS)
        if time.monotonic() > deadline:
            raise Unfinished(f"{count_starts(path)} of {count} jobs started.")
        time.sleep(POLL_SECONDS)
