"""The shape of the table of jobs: how many queues and priorities, and what the server knows."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

STATISTICS = ("missing", "fresh")


@dataclass(frozen=True)
class Shape:
    """By default what every project has that says nothing: one queue, one priority, no ANALYZE."""

    queues: int = 1
    priorities: int = 1
    statistics: str = "missing"

    @classmethod
    def of(cls, env: Mapping[str, str]) -> "Shape":
        """Return the shape that `environment` put into `env`, or the default."""
        return cls(
            int(env.get("QUEUES", "1")),
            int(env.get("PRIORITIES", "1")),
            env.get("STATISTICS", "missing"),
        )

    @classmethod
    def here(cls) -> "Shape":
        """Return the shape that this process was told."""
        return cls.of(os.environ)

    @property
    def environment(self) -> dict[str, str]:
        """What tells a process this shape."""
        return {
            "QUEUES": str(self.queues),
            "PRIORITIES": str(self.priorities),
            "STATISTICS": self.statistics,
        }

    @property
    def has_statistics(self) -> bool:
        """Whether the server takes statistics once a table is loaded."""
        return self.statistics == "fresh"

    def options(self, number: int) -> dict[str, str | int]:
        """Return the queue and the priority of job `number`."""
        queue_name = f"queue-{number % self.queues}" if self.queues > 1 else "default"
        priority = number // self.queues % self.priorities - self.priorities // 2
        return {"queue_name": queue_name, "priority": priority}

    def __str__(self) -> str:
        return (
            f"{self.queues} queue{'s' if self.queues > 1 else ''}, {self.priorities} "
            f"priorit{'ies' if self.priorities > 1 else 'y'}, statistics {self.statistics}"
        )


USUAL = Shape()
