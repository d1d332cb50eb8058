"""Checks the arguments of `schedule_job`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import models

from django_future import remedies
from django_future.exceptions import InvalidArguments, InvalidObject, InvalidTime
from django_future.models import MAX_OBJECT_ID_LENGTH
from django_future.serialization import encode
from django_future.text import MAX_ARGUMENTS_BYTES
from django_future.when import is_time


def check_object(content_object: models.Model | None) -> None:
    """Raise `InvalidObject` unless a job can be bound to `content_object`."""
    if content_object is None:
        return
    if not isinstance(content_object, models.Model):
        raise InvalidObject(
            f"content_object is of type {remedies.kind_of(content_object)}, not a model instance. "
            f"{remedies.for_object(content_object)}"
        )
    if content_object._state.adding:
        raise InvalidObject(f"{content_object!r} is not saved yet. Save it first.")
    if content_object.pk is None:
        raise InvalidObject(f"{content_object!r} was deleted, so no job can be bound to it.")
    if isinstance(content_object.pk, tuple) or len(str(content_object.pk)) > MAX_OBJECT_ID_LENGTH:
        raise InvalidObject(
            f"The primary key {content_object.pk!r} is composite or has more than "
            f"{MAX_OBJECT_ID_LENGTH} characters. Pass the object in args."
        )


def check_order(when: object, **others: object) -> None:
    """Raise `InvalidTime` if one of `others` is a time and `when` is not: they seem swapped."""
    if error := _order_error(when, **others):
        raise error


def missing_time(when: object, args: Sequence[Any]) -> InvalidTime:
    """Return the error for a call with other mistakes, in which `when` is not a time."""
    first = args[0] if isinstance(args, list | tuple) and args else None
    return _order_error(when, **{"the first argument": first}) or InvalidTime(
        f"The first argument is the time, and a value of type {remedies.kind_of(when)} was given "
        "that is not a time. Give for example '0s' or '5d' before the arguments of the handler."
    )


def encode_args(args: Sequence[Any], callable_name: str) -> str:
    """Return `args` as a job of `callable_name` stores them, or raise `InvalidArguments`."""
    if isinstance(args, str | bytes) or not isinstance(args, Sequence):
        raise InvalidArguments(
            f"args is of type {remedies.kind_of(args)}. Give a list or a tuple, such as [value]."
        )
    return _bounded("args", encode(list(args), ("args", callable_name)))


def encode_kwargs(kwargs: Mapping[str, Any], callable_name: str) -> str:
    """Return `kwargs` as a job of `callable_name` stores them, or raise `InvalidArguments`."""
    if not isinstance(kwargs, Mapping) or not all(isinstance(key, str) for key in kwargs):
        raise InvalidArguments(
            f"kwargs is of type {remedies.kind_of(kwargs)}, or has a key that is not a string. "
            "Give a dictionary with the names of parameters as keys."
        )
    return _bounded("kwargs", encode(dict(kwargs), ("kwargs", callable_name)))


def describe_fault(spec: Any, error: TypeError) -> str:
    """Return what is wrong with a spec whose build raised `error`, and what to give instead."""
    if not isinstance(spec, Mapping):
        kind = remedies.kind_of(spec)
        return f"is of type {kind}. Give a dictionary, or what handler.spec() returns."
    if missing := [name for name in ("when", "callable") if name not in spec]:
        return describe_missing(missing, spec)
    return f"is not valid: {error}."


def describe_missing(missing: Sequence[str], given: Iterable[str]) -> str:
    """Return that names are missing, and which of the `given` ones may stand for one of them."""
    similar = next((name for name in given if remedies.did_you_mean(name, missing)), None)
    instead = "" if similar is None else f" instead of {similar!r}"
    return f"has no {' and no '.join(map(repr, missing))}. Give it{instead}."


def _order_error(when: object, **others: object) -> InvalidTime | None:
    times = [name for name, value in others.items() if is_time(value)]
    if not times or is_time(when):
        return None
    return InvalidTime(
        f"{times[0]} is a time, but when is of type {remedies.kind_of(when)}. The arguments "
        "seem to be swapped: pass the time first, then the callable."
    )


def _bounded(name: str, text: str) -> str:
    if len(text) > MAX_ARGUMENTS_BYTES:
        raise InvalidArguments(
            f"{name} take {len(text):,} bytes, and the limit is {MAX_ARGUMENTS_BYTES:,}. Save "
            "large values, and pass a primary key or a path."
        )
    return text
