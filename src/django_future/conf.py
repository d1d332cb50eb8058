"""The project's settings: the dictionary `DJANGO_FUTURE`, read once and checked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import timedelta
from functools import cache
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.dispatch import receiver

from django_future.exceptions import InvalidTime
from django_future.status import Status
from django_future.when import parse_duration


@dataclass(frozen=True, kw_only=True)
class Config:
    """What `DJANGO_FUTURE` may say.

    `CALLABLES` lists modules or dotted paths outside the installed apps that jobs may call.
    `HEARTBEAT` is how soon a running worker is certain to show that it lives.
    `RETENTION` says, by status, how long finished jobs are kept. Without it they are kept for ever.
    """

    CALLABLES: Sequence[str] = ()
    HEARTBEAT: timedelta = timedelta(seconds=20)
    RETENTION: Mapping[Status, timedelta] = field(default_factory=dict)


@cache
def config() -> Config:
    """Return the settings in force.

    Raises `ImproperlyConfigured` on an unknown name or a value of the wrong kind.
    """
    given: dict[str, Any] = getattr(settings, "DJANGO_FUTURE", {})
    known = {field.name for field in fields(Config)}
    if unknown := set(given) - known:
        raise ImproperlyConfigured(
            f"DJANGO_FUTURE has no setting {', '.join(map(repr, sorted(unknown)))}. "
            f"It knows {', '.join(sorted(known))}."
        )
    callables = given.get("CALLABLES", ())
    if isinstance(callables, str) or not all(isinstance(path, str) for path in callables):
        raise ImproperlyConfigured(
            f"DJANGO_FUTURE['CALLABLES'] is {callables!r}. Give a list of dotted paths."
        )
    try:
        heartbeat = parse_duration(given.get("HEARTBEAT", Config.HEARTBEAT))
    except InvalidTime as error:
        raise ImproperlyConfigured(f"DJANGO_FUTURE['HEARTBEAT']: {error}") from error
    if heartbeat <= timedelta():
        raise ImproperlyConfigured(f"DJANGO_FUTURE['HEARTBEAT'] is {heartbeat}. Give more than 0.")
    return Config(
        CALLABLES=tuple(callables),
        HEARTBEAT=heartbeat,
        RETENTION=_checked_retention(given.get("RETENTION", {})),
    )


def _checked_retention(given: Any) -> dict[Status, timedelta]:
    if not isinstance(given, Mapping):
        raise ImproperlyConfigured(
            f"DJANGO_FUTURE['RETENTION'] is {given!r}. "
            "Give a dictionary such as {'complete': '7d'}."
        )
    if unknown := set(given) - set(Status.final()):
        raise ImproperlyConfigured(
            f"DJANGO_FUTURE['RETENTION'] names {', '.join(sorted(map(repr, unknown)))}, which "
            f"is no status in which jobs end. Use some of {', '.join(Status.final())}."
        )
    # In the order in which statuses are named everywhere.
    return {
        status: _checked_length(status, given[status])
        for status in Status.final()
        if given.get(status) is not None
    }


def _checked_length(status: Status, value: Any) -> timedelta:
    name = f"DJANGO_FUTURE['RETENTION']['{status}']"
    try:
        length = parse_duration(value)
    except InvalidTime as error:
        raise ImproperlyConfigured(f"{name}: {error} Or give None for ever.") from error
    if length < timedelta():
        raise ImproperlyConfigured(f"{name} is {value!r}. Give 0 or more, or None for ever.")
    return length


@receiver(setting_changed)
def _forget(*, setting: str, **_: Any) -> None:
    if setting == "DJANGO_FUTURE":
        config.cache_clear()
