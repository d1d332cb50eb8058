"""The lateness of the jobs of one contender, in one or more runs."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.client import LEAD_SECONDS
from benchmarks.contender import Contender
from benchmarks.machine import busy_since, processor_times
from benchmarks.processes import run, running
from benchmarks.recording import recorded
from benchmarks.table import percentile

WARM_UP_JOBS = 20  # in one second before the measurement
MAX_WAIT_SECONDS = 30  # for the last job to start


@dataclass
class Sample:
    """Seconds between the scheduled time of each job and its start, for each run."""

    what: str
    who: str
    runs: list[list[float]] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)  # the load of the machine, from all processes

    def each(self, percent: float) -> list[float]:
        """Return a percentile of each run, in milliseconds."""
        return [1000 * percentile(run, percent) for run in self.runs]

    def typical(self, percent: float) -> float:
        """Return the median of the percentile over the runs, in milliseconds."""
        return median(self.each(percent))


def measure(sample: Sample, contender: Contender, mode: str, count: int, seconds: float) -> None:
    """Start a worker, schedule `count` jobs, and add the lateness of each to `sample`."""
    with awake(contender) as (_, path, env):
        before = processor_times()
        schedule(contender, mode, count, seconds, env, seed=len(sample.runs))
        wait_for(path, count, seconds + LEAD_SECONDS + MAX_WAIT_SECONDS)
        sample.busy.append(busy_since(before))
        sample.runs.append(recorded(path))


@contextmanager
def awake(contender: Contender, **extra: str) -> Iterator[tuple[int, Path, dict[str, str]]]:
    """Start a worker that runs a few jobs; yield its pid, its file and its environment."""
    with TemporaryDirectory(prefix="future-bench-") as folder:
        path = Path(folder) / "lateness"
        path.touch()
        env = {**contender.env, **extra, "LATENESS_FILE": str(path)}
        with running(contender.worker, env) as process:
            schedule(contender, "now", WARM_UP_JOBS, 1, env)
            wait_for(path, WARM_UP_JOBS, MAX_WAIT_SECONDS)
            path.write_text("")
            yield process.pid, path, env


def schedule(
    contender: Contender, mode: str, count: int, seconds: float, env: dict[str, str], seed: int = 0
) -> None:
    """Run the client of `contender` to its end."""
    run([*contender.client, mode, str(count), str(seconds), str(seed)], env)


def wait_for(path: Path, count: int, seconds: float) -> None:
    """Wait until `count` jobs have started.

    Raises `TimeoutError` if they have not started after `seconds`.
    """
    deadline = time.monotonic() + seconds
    while (started := path.read_bytes().count(b"\n")) < count:
        if time.monotonic() > deadline:
            raise TimeoutError(f"Only {started} of {count} jobs started.")
        time.sleep(0.1)
