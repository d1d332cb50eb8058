"""Millions of old jobs are pruned while others are claimed. It takes many minutes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.processes import python, run, running
from benchmarks.project.steady import claims
from benchmarks.servers import TITLES
from benchmarks.table import percentile
from benchmarks.throughput.crowd import SECONDS_PER_MILLION
from benchmarks.throughput.figures import OURS, Bound, Figure
from benchmarks.throughput.ours import project
from benchmarks.throughput.plan import Plan

TITLE = "Old jobs pruned while others are claimed"
NEEDS: list[str] = []
COUNTS = {"postgresql": 10_000_000, "sqlite": 1_000_000, "mariadb": 1_000_000}
ALONE, PRUNING = "claim of 10, p99, alone", "claim of 10, p99, during pruning"
BOUNDS = [Bound(f"{title}, longest step", most=1000, whose=OURS) for title in TITLES.values()]
ALONE_SECONDS = 5


def measure(plan: Plan) -> list[Figure]:
    """Prune each table once, because loading takes long."""
    return [figure for name in plan.databases for figure in _measure_on(name, plan)]


def _measure_on(name: str, plan: Plan) -> list[Figure]:
    count = plan.many(COUNTS[name])
    with project(name, plan.shape) as env:
        seconds = 60 + SECONDS_PER_MILLION * count / 1e6
        run(python("-m", "benchmarks.project.fill", str(count), "finished"), env, seconds=seconds)
        with _claiming(env) as path:
            time.sleep(ALONE_SECONDS)
            began_at = time.time()
            pruned = run(python("-m", "benchmarks.project.prune"), env, seconds=seconds)
            recorded = claims(path)
    total, took, longest = map(float, pruned.split())
    return [
        _figure(name, "pruned", "jobs/s", total / took, count),
        _figure(name, "longest step", "ms", longest * 1000, count),
        _figure(name, ALONE, "ms", _p99(took for at, took in recorded if at < began_at)),
        _figure(name, PRUNING, "ms", _p99(took for at, took in recorded if at >= began_at)),
    ]


@contextmanager
def _claiming(env: dict[str, str]) -> Iterator[Path]:
    with TemporaryDirectory(prefix="future-bench-") as folder:
        path = Path(folder) / "claims"
        starts = {**env, "STARTS_FILE": str(Path(folder) / "starts")}
        with running(python("-m", "benchmarks.project.steady", str(path)), starts):
            yield path


def _p99(seconds: Iterator[float]) -> float:
    return percentile(seconds, 99) * 1000


def _figure(name: str, what: str, unit: str, value: float, jobs: int = 0) -> Figure:
    return Figure(f"{TITLES[name]}, {what}", OURS, unit=unit, jobs=jobs, values=[value])
