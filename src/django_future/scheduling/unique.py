"""What makes a unique job the same as another: its key."""

import inspect
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from django.db.models import Model

from django_future.exceptions import InvalidArguments, InvalidOption
from django_future.handlers import Handler, takes_job
from django_future.options import MAX_KEY_LENGTH, Unique, validate_key
from django_future.serialization import canonical

if TYPE_CHECKING:
    from django_future.models import ScheduledJob


def unique_key(
    job: "ScheduledJob",
    unique: Unique,
    handler: Handler,
    content_object: Model | None,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> str:
    """Return the key of a new `job` as its option `unique` says.

    Raises `InvalidOption` if that is a function which returns none.
    """
    if isinstance(unique, str):
        return unique
    if callable(unique):
        leading = [] if content_object is None else [content_object]
        return _key_by(unique, *leading, *args, **kwargs)
    parameters = _parameters(job, handler, args, kwargs)
    database = [job.object_database] if job.object_database else []
    text = canonical([job.content_type_id, job.object_id, *database, parameters])
    return sha256(text.encode()).hexdigest()


def _key_by(function: Any, *args: Any, **kwargs: Any) -> str:
    try:
        key = function(*args, **kwargs)
    except Exception as error:
        raise InvalidOption(
            f"unique={function!r} raised {type(error).__name__}. It is called with what the "
            "handler is called with, but for the job, and returns a key."
        ) from error
    try:
        return validate_key(key)
    except InvalidOption:
        # The key is not quoted: it is made of the arguments.
        raise InvalidOption(
            f"unique={function!r} returned no valid key. Return a text of 1 to {MAX_KEY_LENGTH} "
            "characters that can be printed, without a space at its end."
        ) from None


def _parameters(
    job: "ScheduledJob", handler: Handler, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    """Return the arguments by the names of their parameters, so that f(1) is the same as f(a=1)."""
    is_passed_object = job.object_id is not None and "." in job.callable_name
    unnamed = [None] * (takes_job(handler) + is_passed_object)
    try:
        bound = inspect.signature(handler).bind(*unnamed, *args, **kwargs)
    except (TypeError, ValueError):  # the job will fail; or there is no signature, as of built-ins
        return [list(args), dict(kwargs)]
    given = dict(bound.arguments)
    bound.apply_defaults()
    return given | {
        name: value
        for name, value in bound.arguments.items()
        if name not in given and _is_storable(value)
    }


def _is_storable(default: Any) -> bool:
    # One that is not cannot have been given either, so to leave it out leaves no two keys the same.
    try:
        canonical(default)
    except InvalidArguments:
        return False
    return True
