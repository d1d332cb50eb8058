"""How long to wait before another attempt, and what a handler raises to ask for one, or for none.

Nothing here knows the time, or a setting.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from django_future.exceptions import FutureError, InvalidOption, InvalidTime
from django_future.when import parse_duration

MAX_DELAYS = 1000  # in a list
MAX_DOUBLINGS = 60  # after which a microsecond is longer than `MAX_DURATION`


@dataclass(frozen=True)
class Exponential:
    """Wait twice as long each time: `base`, 2 `base`, 4 `base`, and so on, `cap` at most.

    Each wait is shortened by up to a half at random, so that jobs which failed together do not come
    back together. Raises `InvalidOption`.
    """

    base: timedelta | str = "10s"
    cap: timedelta | str = "1h"

    def __post_init__(self) -> None:
        for name, value in (("base", self.base), ("cap", self.cap)):
            if _duration(value, f"{name} of Exponential") <= timedelta():
                raise InvalidOption(f"{name} of Exponential is {value!r}. Give more than nothing.")

    def __call__(self, attempt: int, _: Exception) -> timedelta:
        """Return how long to wait after the failed attempt of this number, the first being 1."""
        base, cap = parse_duration(self.base), parse_duration(self.cap)
        # As a number, which cannot overflow: a product of timedeltas could before it is compared.
        factor = 2.0 ** min(attempt - 1, MAX_DOUBLINGS)
        longest = base * factor if factor < cap / base else cap
        return longest * random.uniform(0.5, 1)  # noqa: S311


Delay = timedelta | str


class Retry(FutureError):
    """Raise it in a handler to have the job run again `after` a while.

    It is no failure, and does not count as one. By default the job's backoff says when. A negative
    `after` means at once. Raises `InvalidTime` if `after` is no duration, or more than 100 years.
    """

    def __init__(self, after: Delay | None = None) -> None:
        self.after = None if after is None else max(parse_duration(after), timedelta())
        super().__init__("the handler asked for another attempt")


class Cancel(FutureError):
    """Raise it in a handler to end the job without a failure, for a reason that is kept."""

    def __init__(self, reason: str = "") -> None:
        self.reason = reason
        super().__init__(reason)


Backoff = Literal["exponential"] | Exponential | Sequence[Delay] | Callable[[int, Exception], Delay]


def check_backoff(backoff: Backoff) -> None:
    """Raise `InvalidOption` if `backoff` is none."""
    if callable(backoff) or backoff == "exponential":
        return
    if isinstance(backoff, str) or not isinstance(backoff, Sequence) or not backoff:
        raise InvalidOption(
            f"backoff is {backoff!r}. Give 'exponential', Exponential(...), a list of delays such "
            "as ['1m', '1h'], or a function of the attempt's number and the exception."
        )
    if len(backoff) > MAX_DELAYS:
        raise InvalidOption(f"backoff has {len(backoff)} delays. Give at most {MAX_DELAYS}.")
    for delay in backoff:
        _checked(delay)


def delay_after(attempt: int, exception: Exception, backoff: Backoff) -> timedelta:
    """Return how long to wait after the failed attempt of this number, the first being 1.

    The last delay of a list serves for all attempts after it. Raises `InvalidOption` if a function
    returns what is no delay.
    """
    if isinstance(backoff, str):
        return Exponential()(attempt, exception)
    if callable(backoff):
        return _checked(backoff(attempt, exception))
    return _checked(backoff[min(attempt, len(backoff)) - 1])


def _checked(delay: Delay) -> timedelta:
    length = _duration(delay, "A delay of backoff")
    if length < timedelta():
        raise InvalidOption(f"A delay of backoff is {delay!r}. It lies in the past.")
    return length


def _duration(value: Delay, name: str) -> timedelta:
    try:
        return parse_duration(value)
    except InvalidTime as error:
        raise InvalidOption(f"{name}: {error}") from error
