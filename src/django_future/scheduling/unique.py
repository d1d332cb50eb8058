"""The key of a unique job, by which another job counts as the same."""

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
    """Return the unique key of a new `job` by its option `unique`.

    Raises `InvalidOption` if `unique` is a function that raises, or returns no valid key.
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
            f"unique={function!r} raised {type(error).__name__}. It is called with the arguments "
            "of the handler, without the job, and must return a key."
        ) from error
    try:
        return validate_key(key)
    except InvalidOption:
        # Do not quote the key: it is made from the arguments, which may be sensitive.
        raise InvalidOption(
            f"unique={function!r} returned no valid key. Return a text of 1 to {MAX_KEY_LENGTH} "
            "printable characters that does not end with a space."
        ) from None


def _parameters(
    job: "ScheduledJob", handler: Handler, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    """Return the arguments by parameter name, so that f(1) and f(a=1) have the same key."""
    is_passed_object = job.object_id is not None and "." in job.callable_name
    unnamed = [None] * (takes_job(handler) + is_passed_object)
    try:
        bound = inspect.signature(handler).bind(*unnamed, *args, **kwargs)
    except (TypeError, ValueError):  # the arguments do not fit, or a built-in has no signature
        return [list(args), dict(kwargs)]
    passed = dict(bound.arguments)
    bound.apply_defaults()
    return passed | {
        name: value
        for name, value in bound.arguments.items()
        if name not in passed and _is_storable(value)
    }


def _is_storable(default: Any) -> bool:
    # A default that cannot be stored cannot be passed either, so keys stay distinct without it.
    try:
        canonical(default)
    except InvalidArguments:
        return False
    return True
