"""Reads and checks the setting `DJANGO_FUTURE`."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import timedelta
from functools import cache
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.dispatch import receiver

from django_future.exceptions import InvalidTime
from django_future.remedies import did_you_mean, no_such
from django_future.status import Status
from django_future.when import parse_duration

SETTING = "DJANGO_FUTURE"


@dataclass(frozen=True, kw_only=True)
class Config:
    """The values of `DJANGO_FUTURE`.

    `CALLABLES`: modules or dotted paths outside the installed apps that jobs may call.
    `HEARTBEAT`: a running worker shows within this time that it is alive.
    `RECURRING`: recurring jobs, each a dictionary with the arguments of `schedule_recurring`.
    `RETENTION`: how long finished jobs stay in the database, by status. Default: for ever.
    """

    CALLABLES: Sequence[str] = ()
    HEARTBEAT: timedelta = timedelta(seconds=20)
    RECURRING: Sequence[Mapping[str, Any]] = ()
    RETENTION: Mapping[Status, timedelta] = field(default_factory=dict)


SETTINGS = frozenset(each.name for each in fields(Config))  # the entries of the dictionary


@cache
def config() -> Config:
    """Return the current settings.

    Raises `ImproperlyConfigured` for an unknown name or an invalid value.
    """
    values: Any = getattr(settings, SETTING, {})
    if not isinstance(values, Mapping):
        raise ImproperlyConfigured(
            f"DJANGO_FUTURE is {values!r}. Give a dictionary such as {{'HEARTBEAT': '20s'}}."
        )
    if unknown := set(values) - SETTINGS:
        raise ImproperlyConfigured(f"DJANGO_FUTURE has {no_such('setting', unknown, SETTINGS)}")
    try:
        heartbeat = parse_duration(values.get("HEARTBEAT", Config.HEARTBEAT))
    except InvalidTime as error:
        raise ImproperlyConfigured(f"DJANGO_FUTURE['HEARTBEAT']: {error}") from error
    if heartbeat <= timedelta():
        raise ImproperlyConfigured(f"DJANGO_FUTURE['HEARTBEAT'] is {heartbeat}. Give more than 0.")
    return Config(
        CALLABLES=_checked_callables(values.get("CALLABLES", ())),
        HEARTBEAT=heartbeat,
        RECURRING=_checked_recurring(values.get("RECURRING", ())),
        RETENTION=_checked_retention(values.get("RETENTION", {})),
    )


def _checked_callables(values: Any) -> tuple[str, ...]:
    is_list = isinstance(values, Collection) and not isinstance(values, str)
    if not is_list or not all(isinstance(path, str) for path in values):
        raise ImproperlyConfigured(
            f"DJANGO_FUTURE['CALLABLES'] is {values!r}. Give a list of dotted paths."
        )
    return tuple(values)


def _checked_recurring(values: Any) -> tuple[Mapping[str, Any], ...]:
    # Only the shape. A wrong entry must not keep the project from starting.
    is_list = isinstance(values, Sequence) and not isinstance(values, str)
    if not is_list or not all(isinstance(value, Mapping) for value in values):
        raise ImproperlyConfigured(
            f"DJANGO_FUTURE['RECURRING'] is {values!r}. Give a list of dictionaries, such as "
            "{'callable': 'shop.jobs.report', 'cron': '0 9 * * *'}."
        )
    return tuple(values)


def _checked_retention(values: Any) -> dict[Status, timedelta]:
    if not isinstance(values, Mapping):
        raise ImproperlyConfigured(
            f"DJANGO_FUTURE['RETENTION'] is {values!r}. "
            "Give a dictionary such as {'complete': '7d'}."
        )
    if unknown := set(values) - set(Status.final()):
        raise ImproperlyConfigured(
            f"DJANGO_FUTURE['RETENTION'] names {', '.join(sorted(map(repr, unknown)))}, which "
            f"is not a final status. Use one of {', '.join(Status.final())}."
            + "".join(did_you_mean(name, Status.final()) for name in sorted(unknown, key=repr))
        )
    # In the order of Status.final(), as in all lists of statuses.
    return {
        status: _checked_duration(status, values[status])
        for status in Status.final()
        if values.get(status) is not None
    }


def _checked_duration(status: Status, value: Any) -> timedelta:
    name = f"DJANGO_FUTURE['RETENTION']['{status}']"
    try:
        length = parse_duration(value)
    except InvalidTime as error:
        raise ImproperlyConfigured(
            f"{name}: {error} Or give None to keep the jobs for ever."
        ) from error
    if length < timedelta():
        raise ImproperlyConfigured(
            f"{name} is {value!r}. Give 0 or more, or None to keep the jobs for ever."
        )
    return length


@receiver(setting_changed)
def _forget(*, setting: str, **_: Any) -> None:
    if setting == SETTING:
        config.cache_clear()
