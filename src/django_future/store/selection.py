"""Which of the waiting jobs a worker asks for."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The jobs of some queues, or of all but some; and none that is newer than `up_to_id`."""

    queues: tuple[str, ...] = ()
    excluded_queues: tuple[str, ...] = ()
    up_to_id: int | None = None

    @property
    def sql(self) -> str:
        """The conditions that narrow a WHERE clause, for the values in `parameters`."""
        conditions = ""
        if self.queues:
            conditions += f" AND queue_name IN ({_placeholders(self.queues)})"
        if self.excluded_queues:
            conditions += f" AND queue_name NOT IN ({_placeholders(self.excluded_queues)})"
        if self.up_to_id is not None:
            conditions += " AND id <= %s"
        return conditions

    @property
    def parameters(self) -> list[object]:
        """The values for the placeholders in `sql`."""
        newest = [] if self.up_to_id is None else [self.up_to_id]
        return [*self.queues, *self.excluded_queues, *newest]


EVERYTHING = Selection()


def _placeholders(names: tuple[str, ...]) -> str:
    return ", ".join(["%s"] * len(names))
