"""The cost of an idle worker."""

import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.contender import Contender
from benchmarks.lateness.sample import awake
from benchmarks.processes import cpu_seconds
from benchmarks.project.statements import read_statements

CHANGE_PROBE = "PRAGMA data_version"  # reads SQLite's shared memory, and no row
SETTLE_SECONDS = 3  # between the last job and the measurement


@dataclass
class Idleness:
    """Processor time and statements of one worker; None if it does not count them."""

    who: str
    seconds: float
    cpu: float
    statements: int | None
    probes: int


def measure_idle(contenders: Iterable[Contender], seconds: float) -> list[Idleness]:
    """Measure one worker of each contender, all at the same time, because all are idle."""
    contenders = list(contenders)
    with TemporaryDirectory(prefix="future-bench-") as folder:
        logs = {one.name: Path(folder) / f"statements-{n}" for n, one in enumerate(contenders)}
        with ExitStack() as stack:
            pids = {
                one.name: stack.enter_context(awake(one, STATEMENTS_FILE=str(logs[one.name])))[0]
                for one in contenders
            }
            time.sleep(SETTLE_SECONDS)
            started_at, before = time.time(), _cpu(pids)
            time.sleep(seconds)
            ended_at, after = time.time(), _cpu(pids)
        return [
            _idleness(name, seconds, after[name] - before[name], logs[name], started_at, ended_at)
            for name in pids
        ]


def _cpu(pids: dict[str, int]) -> dict[str, float]:
    return {name: cpu_seconds(pid) for name, pid in pids.items()}


def _idleness(
    who: str, seconds: float, cpu: float, log: Path, started_at: float, ended_at: float
) -> Idleness:
    if not log.exists():
        return Idleness(who, seconds, cpu, None, 0)
    sent = [sql for at, sql in read_statements(log) if started_at <= at < ended_at]
    probes = sent.count(CHANGE_PROBE)
    return Idleness(who, seconds, cpu, len(sent) - probes, probes)
