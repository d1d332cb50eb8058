"""How long to wait before another attempt. Nothing here knows the time, or a setting."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from django_future.exceptions import InvalidOption, InvalidTime
from django_future.when import parse_duration


@dataclass(frozen=True)
class Exponential:
    """Wait twice as long each time: `base`, 2 `base`, 4 `base`, and so on, `cap` at most.

    Each wait is shortened by up to a half at random, so that jobs which failed together do not come
    back together. Raises `InvalidOption`.
    """

    base: timedelta | str = timedelta(seconds=10)
    cap: timedelta | str = timedelta(hours=1)

    def __post_init__(self) -> None:
        for name, value in (("base", self.base), ("cap", self.cap)):
            if _duration(value, f"{name} of Exponential") <= timedelta():
                raise InvalidOption(f"{name} of Exponential is {value!r}. Give more than nothing.")

    def __call__(self, attempt: int, _: Exception) -> timedelta:
        """Return how long to wait after the failed attempt of this number, the first being 1."""
        base, cap = parse_duration(self.base), parse_duration(self.cap)
        # Past 30 doublings any base has reached any cap; more would overflow.
        longest = min(base * 2 ** min(attempt - 1, 30), cap) if base < cap else cap
        return longest * random.uniform(0.5, 1)  # noqa: S311


Delay = timedelta | str
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
