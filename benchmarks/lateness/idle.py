"""What a worker costs that has nothing to do."""

import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.contender import Contender
from benchmarks.lateness.sample import awake
from benchmarks.processes import cpu_seconds
from benchmarks.project.statements import noted_statements

GLANCE = "PRAGMA data_version"  # reads SQLite's shared memory, and no row
SETTLE = 3  # seconds between the last job and the measurement


@dataclass
class Idleness:
    """Processor time and statements of one worker; None where nobody counts them."""

    who: str
    seconds: float
    cpu: float
    statements: int | None
    glances: int


def measure_idle(contenders: Iterable[Contender], seconds: float) -> list[Idleness]:
    """Watch one worker of each, all in the same minute, since none has anything to do."""
    contenders = list(contenders)
    with TemporaryDirectory(prefix="future-bench-") as folder:
        notes = {one.name: Path(folder) / f"statements-{n}" for n, one in enumerate(contenders)}
        with ExitStack() as stack:
            pids = {
                one.name: stack.enter_context(awake(one, STATEMENTS_FILE=str(notes[one.name])))[0]
                for one in contenders
            }
            time.sleep(SETTLE)
            started_at, before = time.time(), _cpu(pids)
            time.sleep(seconds)
            ended_at, after = time.time(), _cpu(pids)
        return [
            _idleness(name, seconds, after[name] - before[name], notes[name], started_at, ended_at)
            for name in pids
        ]


def _cpu(pids: dict[str, int]) -> dict[str, float]:
    return {name: cpu_seconds(pid) for name, pid in pids.items()}


def _idleness(
    who: str, seconds: float, cpu: float, notes: Path, started_at: float, ended_at: float
) -> Idleness:
    if not notes.exists():
        return Idleness(who, seconds, cpu, None, 0)
    sent = [sql for at, sql in noted_statements(notes) if started_at <= at < ended_at]
    glances = sent.count(GLANCE)
    return Idleness(who, seconds, cpu, len(sent) - glances, glances)
