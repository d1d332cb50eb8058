"""What can be said of a job beside what it calls, and when; checked where it is said."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Final, TypedDict, get_type_hints

from django_future.exceptions import InvalidOption, InvalidTime
from django_future.when import parse_duration

LOWEST_PRIORITY, HIGHEST_PRIORITY = -100, 100
LONGEST_QUEUE_NAME = 100
ONE_WEEK = timedelta(days=7)


class Keep(Enum):
    """Stands for what is not said: it is as the old job has it, or the handler."""

    KEEP = "keep"


KEEP: Final = Keep.KEEP


class HandlerOptions(TypedDict, total=False):
    """The keywords of `@job`."""

    queue_name: str
    priority: int
    expires: timedelta | str | None


@dataclass(frozen=True, kw_only=True)
class JobOptions:
    """How the jobs of a handler are scheduled, unless the call says otherwise.

    Raises `InvalidOption`.
    """

    queue_name: str = "default"
    priority: int = 0
    expires: timedelta | str | None = ONE_WEEK

    def __post_init__(self) -> None:
        checked_queue_name(self.queue_name)
        checked_priority(self.priority)
        if self.expires is not None:
            _check_lifetime(self.expires)


def no_option(unknown: Iterable[str], known: type) -> str:
    """Return what is wrong with option names that the typed dictionary `known` has not."""
    names = ", ".join(map(repr, sorted(unknown)))
    return f"there is no option {names}, but {', '.join(sorted(get_type_hints(known)))}"


def checked_queue_name(queue_name: str) -> str:
    """Return `queue_name`, or raise `InvalidOption`."""
    if not isinstance(queue_name, str) or not 0 < len(queue_name) <= LONGEST_QUEUE_NAME:
        raise InvalidOption(
            f"queue_name is {queue_name!r}. Give a name of 1 to {LONGEST_QUEUE_NAME} characters."
        )
    return queue_name


def checked_priority(priority: int) -> int:
    """Return `priority`, or raise `InvalidOption`."""
    if type(priority) is not int or not LOWEST_PRIORITY <= priority <= HIGHEST_PRIORITY:
        raise InvalidOption(
            f"priority is {priority!r}. Give a whole number from {LOWEST_PRIORITY} to "
            f"{HIGHEST_PRIORITY}."
        )
    return priority


def _check_lifetime(expires: timedelta | str) -> None:
    try:
        lifetime = parse_duration(expires)
    except InvalidTime as error:
        raise InvalidOption(f"expires: {error} Or give None for never.") from error
    if lifetime <= timedelta():
        raise InvalidOption(f"expires is {expires!r}. Give more than nothing, or None for never.")
