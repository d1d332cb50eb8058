"""One row of another package, and what becomes of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


class NotCarriedOver(Exception):
    """No recurring job can do what a row says. The message says why, and what to do."""


@dataclass
class Entry:
    """One row of another package, and the recurring job that it becomes.

    `old` describes its schedule, and `new` the recurring job. `arguments` are those of
    `schedule_recurring`. `notes` say what is lost or different. If `refusal` is not empty, it says
    why there is no recurring job.
    """

    name: str
    old: str = ""
    new: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)
    paused_reason: str = ""
    notes: list[str] = field(default_factory=list)
    refusal: str = ""

    @contextmanager
    def translation(self) -> Iterator[None]:
        """Record why the row cannot be translated, so that the others are."""
        try:
            yield
        except NotCarriedOver as error:
            self.refusal = str(error)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            # A value that the other package has not written.
            self.refusal = f"Its row cannot be read: {type(error).__name__}: {error}. Correct it."
