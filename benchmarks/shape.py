"""The shape of the table of jobs: its queues, its priorities and its statistics."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

STATISTICS = ("missing", "fresh")


@dataclass(frozen=True)
class Shape:
    """The default is that of a project without options: one queue, one priority, no ANALYZE."""

    queues: int = 1
    priorities: int = 1
    statistics: str = "missing"

    @classmethod
    def of(cls, env: Mapping[str, str]) -> "Shape":
        """Return the shape in the variables of `env`, or the default."""
        return cls(
            int(env.get("QUEUES", "1")),
            int(env.get("PRIORITIES", "1")),
            env.get("STATISTICS", "missing"),
        )

    @classmethod
    def here(cls) -> "Shape":
        """Return the shape in the environment of this process."""
        return cls.of(os.environ)

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables with this shape."""
        return {
            "QUEUES": str(self.queues),
            "PRIORITIES": str(self.priorities),
            "STATISTICS": self.statistics,
        }

    @property
    def has_statistics(self) -> bool:
        """Whether the server runs ANALYZE after a table is loaded."""
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


DEFAULT_SHAPE = Shape()
