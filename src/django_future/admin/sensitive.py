"""Hides the arguments that a handler declares sensitive."""

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
from django_future.tasks.handler import TaskHandler

HIDDEN = "[hidden]"


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
        return {name: HIDDEN if name in names else value for name, value in values.items()}
    return HIDDEN


def positional_names(job: ScheduledJob) -> Any:
    """Return the name of the parameter for each positional argument of `job`."""
    handler = _handler(job)
    is_task = isinstance(handler, TaskHandler)
    function = handler.task.func if is_task else handler
    parameters = list(inspect.signature(function).parameters.values())
    takes_first = handler.task.takes_context if is_task else takes_job(handler)
    passed = takes_first + (job.object_id is not None)
    for parameter in parameters[passed:]:
        if parameter.kind is Parameter.VAR_POSITIONAL:
            return chain(_names(parameters[passed:]), repeat(parameter.name))
    return _names(parameters[passed:])


def _handler(job: ScheduledJob) -> Any:
    # A row that was written by SQL must not cause an import, so an unsigned job's handler is only
    # looked up among the imported modules.
    if job.is_signed:
        return unbound_handler(job)
    handler = loaded_handler(job)
    if handler is None and "." in job.callable_name:
        raise HandlerUnknown(f"{job.callable_name!r} is not imported.")
    return handler


def _names(parameters: list[Parameter]) -> list[str]:
    kinds = {Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD}
    return [parameter.name for parameter in parameters if parameter.kind in kinds]
