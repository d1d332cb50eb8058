"""The memory of workers and the sessions of their server over time."""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from django.db import connection

SESSIONS = """
    SELECT COUNT(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
RESIDENT = re.compile(r"^VmRSS:\s+(\d+) kB$", re.MULTILINE)
MIN_SAMPLES = 60  # required for a trend
# From the second quarter of the samples to the last. Sessions vary with their workers.
MAX_MEMORY_GROWTH, MAX_SESSIONS_GROWTH = 1.25, 1.5


@dataclass
class Samples:
    """The samples of one soak, in order of time."""

    memory: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))  # MiB, by pid
    sessions: list[float] = field(default_factory=list)

    def take(self, pids: set[int]) -> None:
        """Record the memory of the processes and the number of sessions."""
        for pid in pids:
            path = Path(f"/proc/{pid}/status")
            found = path.exists() and RESIDENT.search(path.read_text())
            if found:
                self.memory[pid].append(int(found[1]) / 1024)
        with connection.cursor() as cursor:
            cursor.execute(SESSIONS)
            self.sessions.append(cursor.fetchone()[0])

    def faults(self) -> Iterator[str]:
        """Yield a message for each value that grows too much."""
        for pid, sizes in self.memory.items():
            if growth(sizes) > MAX_MEMORY_GROWTH:
                yield f"worker {pid} grew to {growth(sizes):.2f} of its memory: {brief(sizes)} MiB"
        if growth(self.sessions) > MAX_SESSIONS_GROWTH:
            yield f"the sessions grew to {growth(self.sessions):.2f}: {brief(self.sessions)}"


def growth(values: list[float]) -> float:
    """Return the ratio of the last quarter to the second, or 1 if there are too few values."""
    if len(values) < MIN_SAMPLES:
        return 1.0
    quarter = len(values) // 4
    return median(values[-quarter:]) / max(median(values[quarter : 2 * quarter]), 1)


def brief(values: list[float]) -> str:
    """Return some of the values as text, from the first to the last."""
    step = max(len(values) // 8, 1)
    return " ".join(f"{value:.0f}" for value in [*values[:-1:step], values[-1]])
