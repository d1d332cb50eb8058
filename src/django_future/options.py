"""The options of handlers and of jobs, and their validation."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from functools import cached_property
from typing import Any, Final, Literal, TypedDict, get_type_hints

from django_future.exceptions import InvalidOption, InvalidTime
from django_future.plural import agreeing
from django_future.remedies import did_you_mean, no_such
from django_future.retries import Backoff, check_backoff
from django_future.when import parse_duration

MIN_PRIORITY, MAX_PRIORITY = -100, 100
DEFAULT_THREADS = 4  # of a worker process
MAX_QUEUE_NAME_LENGTH = 100
MAX_KEY_LENGTH = 200
MAX_ATTEMPTS_LIMIT = 1000
ONE_WEEK = timedelta(days=7)
_ON_DELETE = ("cancel", "fail")

Unique = bool | str | Callable[..., str]


class Unset(Enum):
    """The type of `UNSET`, the default of arguments for which None has a meaning."""

    UNSET = "unset"


UNSET: Final = Unset.UNSET


class AnyOptions(TypedDict, total=False):
    """The options that both `@job` and a single call accept."""

    queue_name: str
    priority: int
    max_attempts: int
    backoff: Backoff
    timeout: timedelta | str | None
    unique: Unique
    unique_replace: bool
    atomic: bool
    rescue: bool
    on_delete: Literal["cancel", "fail"]


class HandlerOptions(AnyOptions, total=False):
    """The keywords of `@job`."""

    expires: timedelta | str | None
    sensitive_arguments: bool | Collection[str]


@dataclass(frozen=True, kw_only=True)
class JobOptions:
    """The options of a handler, which the options of a call override.

    Raises `InvalidOption`.
    """

    queue_name: str = "default"
    priority: int = 0
    expires: timedelta | str | None = ONE_WEEK
    max_attempts: int = 1
    backoff: Backoff = "exponential"
    timeout: timedelta | str | None = None
    unique: Unique = False
    unique_replace: bool = False
    atomic: bool = True
    rescue: bool = True
    on_delete: Literal["cancel", "fail"] = "cancel"
    sensitive_arguments: bool | Collection[str] = False

    def __post_init__(self) -> None:
        validate_queue_name(self.queue_name)
        validate_priority(self.priority)
        for name in ("expires", "timeout"):
            _check_length(name, getattr(self, name))
        for name in ("atomic", "rescue", "unique_replace"):
            _check_is_bool(name, getattr(self, name))
        _check_max_attempts(self.max_attempts)
        check_backoff(self.backoff)
        _check_unique(self.unique)
        _check_on_delete(self.on_delete)
        _check_sensitive_arguments(self.sensitive_arguments)
        if self.unique_replace and not self.unique:
            raise InvalidOption(
                "unique_replace=True has no effect without unique. Give unique=True."
            )

    @cached_property
    def columns(self) -> dict[str, Any]:
        """The options that are columns of a new row, by column name."""
        return {
            "queue_name": self.queue_name,
            "priority": self.priority,
            "max_attempts": self.max_attempts,
            "is_rescuable": self.rescue,
        }


# The options that are read when a job runs. Those of a call are stored with its job.
RUN_OPTIONS = frozenset({"backoff", "timeout", "atomic", "on_delete"})


def unknown_option_message(unknown: Iterable[str], known: type, otherwise: str = "") -> str:
    """Return a message about option names that the typed dictionary `known` does not have.

    `otherwise` is the remedy if no known name is similar.
    """
    return f"there is {no_such('option', unknown, get_type_hints(known), otherwise)}"


def check_delays(options: JobOptions) -> None:
    """Raise `InvalidOption` if `backoff` has more delays than `max_attempts` allows retries."""
    backoff, retries = options.backoff, options.max_attempts - 1
    if isinstance(backoff, str) or callable(backoff) or not retries:
        return  # without retries, the delays serve a handler that raises Retry
    if len(backoff) > retries:
        allowed = agreeing(retries, "1 retry", f"{retries} retries")
        raise InvalidOption(
            f"backoff has {len(backoff)} delays, but max_attempts={options.max_attempts} allows "
            f"only {allowed}. Give max_attempts={len(backoff) + 1}."
        )


def is_selected(queue_name: str, queues: Collection[str], excluded_queues: Collection[str]) -> bool:
    """Return whether a worker for `queues`, or for all if there are none, serves this queue."""
    return (not queues or queue_name in queues) and queue_name not in excluded_queues


def validate_queue_name(queue_name: str) -> str:
    """Return `queue_name`, or raise `InvalidOption`."""
    if (
        not isinstance(queue_name, str)
        or not 0 < len(queue_name) <= MAX_QUEUE_NAME_LENGTH
        or not queue_name.isprintable()
    ):
        raise InvalidOption(
            f"queue_name is {queue_name!r}. Give a name of 1 to {MAX_QUEUE_NAME_LENGTH} printable "
            "characters."
        )
    return queue_name


def validate_priority(priority: int) -> int:
    """Return `priority`, or raise `InvalidOption`."""
    if type(priority) is not int or not MIN_PRIORITY <= priority <= MAX_PRIORITY:
        raise InvalidOption(
            f"priority is {priority!r}. Give a whole number from {MIN_PRIORITY} to {MAX_PRIORITY}."
        )
    return priority


def validate_key(key: Any) -> str:
    """Return `key`, or raise `InvalidOption`."""
    # MySQL ignores a space at the end, and PostgreSQL rejects NUL.
    if (
        not isinstance(key, str)
        or not 0 < len(key) <= MAX_KEY_LENGTH
        or not key.isprintable()
        or key.endswith(" ")
    ):
        raise InvalidOption(
            f"The unique key is {key!r}. Give a text of 1 to {MAX_KEY_LENGTH} printable characters "
            "that does not end with a space."
        )
    return key


def _check_length(name: str, value: timedelta | str | None) -> None:
    if value is None:
        return
    try:
        length = parse_duration(value)
    except InvalidTime as error:
        raise InvalidOption(f"{name}: {error} Or give None for no limit.") from error
    if length <= timedelta():
        raise InvalidOption(f"{name} is {value!r}. Give a positive duration, or None for no limit.")


def _check_is_bool(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise InvalidOption(f"{name} is {value!r}. Give True or False.")


def _check_max_attempts(max_attempts: int) -> None:
    if type(max_attempts) is not int or not 1 <= max_attempts <= MAX_ATTEMPTS_LIMIT:
        raise InvalidOption(
            f"max_attempts is {max_attempts!r}. Give a whole number from 1, which means no retry, "
            f"to {MAX_ATTEMPTS_LIMIT}."
        )


def _check_unique(unique: Unique) -> None:
    if isinstance(unique, str):
        validate_key(unique)
    elif not isinstance(unique, bool) and not callable(unique):
        raise InvalidOption(
            f"unique is {unique!r}. Give True, a key, or a function that returns a key for the "
            "arguments."
        )


def _check_on_delete(on_delete: str) -> None:
    if on_delete not in _ON_DELETE:
        similar = did_you_mean(on_delete, _ON_DELETE)
        raise InvalidOption(f"on_delete is {on_delete!r}. Give 'cancel' or 'fail'.{similar}")


def _check_sensitive_arguments(names: bool | Collection[str]) -> None:  # noqa: FBT001
    if isinstance(names, bool):
        return
    if (
        isinstance(names, str)
        or not isinstance(names, Collection)
        or not all(isinstance(name, str) for name in names)
    ):
        raise InvalidOption(
            f"sensitive_arguments is {names!r}. Give a list of argument names, or True for all."
        )
