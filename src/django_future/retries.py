"""The delay before another attempt, and the exceptions `Retry` and `Cancel`.

This module uses neither the clock nor the settings.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from django_future.exceptions import FutureError, InvalidOption, InvalidTime
from django_future.when import parse_duration

MAX_DELAYS = 1000  # of a list
MAX_DOUBLINGS = 60  # with which a microsecond becomes longer than `MAX_DURATION`


@dataclass(frozen=True)
class Exponential:
    """Double the delay for each attempt: `base`, 2 `base`, 4 `base`, and so on, up to `cap`.

    Each delay is shortened at random by up to a half, so that jobs that failed together are not
    retried together. Raises `InvalidOption`.
    """

    base: timedelta | str = "10s"
    cap: timedelta | str = "1h"

    def __post_init__(self) -> None:
        for name, value in (("base", self.base), ("cap", self.cap)):
            if _duration(value, f"{name} of Exponential") <= timedelta():
                raise InvalidOption(f"{name} of Exponential is {value!r}. Give a positive one.")

    def __call__(self, attempt: int, _: Exception) -> timedelta:
        """Return the delay after the failed attempt with this number; the first has number 1."""
        base, cap = parse_duration(self.base), parse_duration(self.cap)
        # Compare numbers, because a product of timedeltas could overflow.
        factor = 2.0 ** min(attempt - 1, MAX_DOUBLINGS)
        longest = base * factor if factor < cap / base else cap
        return longest * random.uniform(0.5, 1)  # noqa: S311


Delay = timedelta | str


class Retry(FutureError):
    """Raise it in a handler to schedule another attempt `after` a delay.

    The default delay is the `backoff` of the job. The attempt does not count as failed. A negative
    delay means none. Raises `InvalidTime` if `after` is not a duration, or more than 100 years.
    """

    def __init__(self, after: Delay | None = None) -> None:
        self.after = None if after is None else max(parse_duration(after), timedelta())
        super().__init__("the handler raised Retry")


class Cancel(FutureError):
    """Raise it in a handler to cancel the job. The `reason` becomes its `error`."""

    def __init__(self, reason: str = "") -> None:
        self.reason = reason
        super().__init__(reason)


Backoff = Literal["exponential"] | Exponential | Sequence[Delay] | Callable[[int, Exception], Delay]


def check_backoff(backoff: Backoff) -> None:
    """Raise `InvalidOption` unless `backoff` is valid."""
    if callable(backoff) or backoff == "exponential":
        return
    if isinstance(backoff, str) or not isinstance(backoff, Sequence) or not backoff:
        raise InvalidOption(
            f"backoff is {backoff!r}. Give 'exponential', Exponential(...), a list of delays such "
            "as ['1m', '1h'], or a function of the number of the attempt and the exception."
        )
    if len(backoff) > MAX_DELAYS:
        raise InvalidOption(f"backoff has {len(backoff)} delays. Give at most {MAX_DELAYS}.")
    for delay in backoff:
        _validated(delay)


def delay_after(attempt: int, exception: Exception, backoff: Backoff) -> timedelta:
    """Return the delay after the failed attempt with this number; the first has the number 1.

    Attempts beyond the end of a list use its last delay. Raises `InvalidOption` if a function
    returns something that is not a delay.
    """
    if isinstance(backoff, str):
        return Exponential()(attempt, exception)
    if callable(backoff):
        return _validated(backoff(attempt, exception))
    return _validated(backoff[min(attempt, len(backoff)) - 1])


def _validated(delay: Delay) -> timedelta:
    length = _duration(delay, "A delay of backoff")
    if length < timedelta():
        raise InvalidOption(f"A delay of backoff is {delay!r}. Give 0 or more.")
    return length


def _duration(value: Delay, name: str) -> timedelta:
    try:
        return parse_duration(value)
    except InvalidTime as error:
        raise InvalidOption(f"{name}: {error}") from error
