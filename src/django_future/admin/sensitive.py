"""Hides the arguments that a handler declares sensitive."""

import inspect
import json
from collections.abc import Callable, Collection
from inspect import Parameter
from itertools import chain, repeat
from typing import Any

from django_future.exceptions import FutureError, HandlerUnknown
from django_future.handlers import takes_job
from django_future.models import ScheduledJob
from django_future.resolution import loaded_handler, options_for, unbound_handler
from django_future.serialization import TAG
from django_future.tasks.handler import TaskHandler

HIDDEN = "[hidden]"
_POSITIONAL = Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD
_BY_KEYWORD = Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY


def without_sensitive(job: ScheduledJob, text: str) -> str:
    """Return the stored arguments of `job` with the sensitive ones hidden.

    If the handler cannot be found, all arguments are hidden.
    """
    try:
        names = options_for(job, _handler(job)).sensitive_arguments
        if not names:
            return text
        shown = HIDDEN if names is True else _hide(json.loads(text), names, job)
    # The JSON is cut off or too deeply nested, or the handler or its parameters are unknown.
    except (ValueError, TypeError, RecursionError, FutureError):
        shown = HIDDEN
    return json.dumps(shown)


def has_sensitive(job: ScheduledJob) -> bool:
    """Return whether arguments of `job` are hidden, as they are if its handler cannot be found."""
    try:
        return bool(options_for(job, _handler(job)).sensitive_arguments)
    except (ValueError, TypeError, RecursionError, FutureError):
        return True


def _hide(values: Any, names: Collection[str], job: ScheduledJob) -> Any:
    if isinstance(values, list):
        parameter_names = chain(positional_names(job), repeat(None))
        return [
            HIDDEN if name is None or name in names else value
            for name, value in zip(parameter_names, values, strict=False)
        ]
    if isinstance(values, dict) and TAG not in values:
        collecting = _collecting_parameter(job)
        return {
            name: HIDDEN if name in names or collecting(name) in names else value
            for name, value in values.items()
        }
    return HIDDEN


def positional_names(job: ScheduledJob) -> Any:
    """Return the name of the parameter for each positional argument of `job`."""
    parameters = _parameters(job)
    for parameter in parameters:
        if parameter.kind is Parameter.VAR_POSITIONAL:
            return chain(_names(parameters, *_POSITIONAL), repeat(parameter.name))
    return _names(parameters, *_POSITIONAL)


def _collecting_parameter(job: ScheduledJob) -> Callable[[str], str | None]:
    """Return a function that returns the `**` parameter that a keyword belongs to, if it does."""
    parameters = _parameters(job)
    known = _names(parameters, *_BY_KEYWORD)
    collecting = next(iter(_names(parameters, Parameter.VAR_KEYWORD)), None)
    return lambda keyword: None if keyword in known else collecting


def _parameters(job: ScheduledJob) -> list[Parameter]:
    """Return the parameters of the handler without those for the job and for its object."""
    handler = _handler(job)
    is_task = isinstance(handler, TaskHandler)
    function = handler.task.func if is_task else handler
    takes_first = handler.task.takes_context if is_task else takes_job(handler)
    passed = takes_first + (job.object_id is not None)
    return list(inspect.signature(function).parameters.values())[passed:]


def _handler(job: ScheduledJob) -> Any:
    # A row that was written by SQL must not cause an import, so an unsigned job's handler is only
    # looked up among the imported modules.
    handler = unbound_handler(job) if job.is_signed else loaded_handler(job)
    if handler is None:
        raise HandlerUnknown(f"{job.callable_name!r} is not known.")
    return handler


def _names(parameters: list[Parameter], *kinds: Any) -> list[str]:
    return [parameter.name for parameter in parameters if parameter.kind in kinds]
