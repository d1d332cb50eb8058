"""Arguments that their handler calls sensitive, hidden from whoever looks at its jobs."""

import inspect
import json
from collections.abc import Collection
from inspect import Parameter
from itertools import chain, repeat
from typing import Any

from django_future.exceptions import FutureError, HandlerUnknown
from django_future.handlers import takes_job
from django_future.models import ScheduledJob
from django_future.resolution import loaded_handler, options_for, unbound_handler
from django_future.serialization import TAG

HIDDEN = "[hidden]"


def without_sensitive(job: ScheduledJob, text: str) -> str:
    """Return the stored text of arguments of `job`, less what its handler has nobody see.

    Where the handler is not to be found nobody knows what that is, so nothing is shown.
    """
    try:
        names = options_for(job, _handler(job)).sensitive_arguments
        if not names:
            return text
        shown = HIDDEN if names is True else _without(json.loads(text), names, job)
    # It is cut off in the middle, or too deep, or there is no signature.
    except (ValueError, TypeError, RecursionError, FutureError):
        shown = HIDDEN
    return json.dumps(shown)


def _without(values: Any, names: Collection[str], job: ScheduledJob) -> Any:
    if isinstance(values, list):
        places = chain(_parameters(job), repeat(None))
        return [
            HIDDEN if place is None or place in names else value
            for place, value in zip(places, values, strict=False)
        ]
    if isinstance(values, dict) and TAG not in values:
        return {name: HIDDEN if name in names else value for name, value in values.items()}
    return HIDDEN


def _parameters(job: ScheduledJob) -> Any:
    """Return the names of the parameters for the positional arguments of `job`."""
    handler = _handler(job)
    parameters = list(inspect.signature(handler).parameters.values())
    passed = takes_job(handler) + (job.object_id is not None)
    for parameter in parameters[passed:]:
        if parameter.kind is Parameter.VAR_POSITIONAL:
            return chain(_names(parameters[passed:]), repeat(parameter.name))
    return _names(parameters[passed:])


def _handler(job: ScheduledJob) -> Any:
    # To look at what SQL wrote must not import it.
    if job.is_signed:
        return unbound_handler(job)
    handler = loaded_handler(job)
    if handler is None and "." in job.callable_name:
        raise HandlerUnknown(f"{job.callable_name!r} is not imported.")
    return handler


def _names(parameters: list[Parameter]) -> list[str]:
    kinds = {Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD}
    return [parameter.name for parameter in parameters if parameter.kind in kinds]
