"""Which of the waiting jobs a worker asks for."""

from dataclasses import dataclass

PAUSED = "SELECT queue_name FROM django_future_pausedqueue"


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The jobs of some queues, or of all but some; and none that is newer than `up_to_id`.

    Those of paused queues are never among them.
    """

    queues: tuple[str, ...] = ()
    excluded_queues: tuple[str, ...] = ()
    up_to_id: int | None = None

    @property
    def sql(self) -> str:
        """What a WHERE clause asks for beside the queue, for the values in `parameters`."""
        up_to_id = "" if self.up_to_id is None else "AND id <= %s"
        return f"AND queue_name NOT IN ({PAUSED}) {up_to_id}"

    @property
    def parameters(self) -> list[int]:
        """The values for the placeholders in `sql`."""
        return [] if self.up_to_id is None else [self.up_to_id]

    def describe(self) -> str:
        """Return which queues these are, for people to read."""
        names = ", ".join(self.queues) or "all"
        return f"{names} but {', '.join(self.excluded_queues)}" if self.excluded_queues else names


EVERYTHING = Selection()
