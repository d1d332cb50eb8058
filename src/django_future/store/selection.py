"""Which of the waiting jobs a worker claims."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django_future.options import is_selected

if TYPE_CHECKING:
    from django_future.models import ScheduledJob

PAUSED = "SELECT queue_name FROM django_future_pausedqueue"

# The SQL expression for `handler_of`.
HANDLER = "callable_name || ' ' || COALESCE(content_type_id, 0)"


def handler_of(job: "ScheduledJob") -> str:
    """Return a text that identifies the handler of a job, which may be a method of its object."""
    return f"{job.callable_name} {job.content_type_id or 0}"


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The jobs of `queues`, or of all queues, without `excluded_queues` and `unknown_handlers`.

    Jobs with an id above `up_to_id` and jobs of paused queues are not selected.
    """

    queues: tuple[str, ...] = ()
    excluded_queues: tuple[str, ...] = ()
    unknown_handlers: frozenset[str] = frozenset()
    up_to_id: int | None = None

    def serves(self, queue_name: str) -> bool:
        """Return whether jobs of this queue are selected, if the queue is not paused."""
        return is_selected(queue_name, self.queues, self.excluded_queues)

    def sql(self, handler: str) -> str:
        """Return the conditions of a WHERE clause, except on `queues` and `excluded_queues`.

        `parameters` are the values for its placeholders.
        """
        placeholders = ", ".join(["%s"] * len(self.unknown_handlers))
        unknown = f"AND {handler} NOT IN ({placeholders})" if placeholders else ""
        up_to_id = "" if self.up_to_id is None else "AND id <= %s"
        return f"AND queue_name NOT IN ({PAUSED}) {unknown} {up_to_id}"

    @property
    def parameters(self) -> list[str | int]:
        """The values of the placeholders in `sql`."""
        return [*self.unknown_handlers, *([] if self.up_to_id is None else [self.up_to_id])]

    @property
    def queue_names(self) -> dict[str, list[str]]:
        """The queues as the row of a worker stores them."""
        return {"queues": list(self.queues), "excluded_queues": list(self.excluded_queues)}


EVERYTHING = Selection()
