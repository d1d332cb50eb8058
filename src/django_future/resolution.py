"""Finds the handler of a job, and the options for its execution."""

import reprlib
import sys
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple

from django.db.models import Model

from django_future import content_objects, handlers
from django_future.exceptions import FutureError, HandlerUnknown, InvalidOption
from django_future.models import ScheduledJob
from django_future.options import RUN_OPTIONS, JobOptions
from django_future.tasks.handler import TaskHandler, is_task


class Resolution(NamedTuple):
    """What the execution of a job needs to know about its handler.

    A method is the one that the class defines.
    """

    handler: Any
    options: JobOptions
    takes_job: bool


def resolve_job(job: ScheduledJob) -> Resolution:
    """Return the handler of a signed job, and the options for its execution.

    Raises `HandlerUnknown`, whose `job` is set, another `InvalidCallable`, or what `options_for`
    raises.
    """
    handler = unbound_handler(job)
    options, takes_job = handlers.options_of(handler), handlers.takes_job(handler)
    if job.options is not None:
        options = options_for(job, handler)
    return Resolution(handler, options, takes_job)


def options_for(job: ScheduledJob, handler: Any) -> JobOptions:
    """Return the options of `job`: those of its handler, overridden by its own.

    Raises `InvalidOption` or `InvalidArguments` if the stored options are not valid.
    """
    handler_options, own = handlers.options_of(handler), job.options
    if own is None:
        return handler_options
    if not isinstance(own, dict):
        raise InvalidOption(
            f"The options of the job are {reprlib.repr(own)}, not a dictionary. Reschedule it."
        )
    if unknown := {str(name) for name in own.keys() - RUN_OPTIONS}:
        names = ", ".join(map(repr, sorted(unknown)))
        raise InvalidOption(
            f"The options of the job contain {names}, unknown to this version. Reschedule it."
        )
    try:
        return replace(handler_options, **own)
    except TypeError as error:
        raise InvalidOption(
            f"The options of the job are {reprlib.repr(own)}: {error}. Reschedule it."
        ) from error


def options_if_known(job: ScheduledJob) -> JobOptions:
    """Return the options of `job`, with defaults for those that cannot be found or read."""
    options = JobOptions()
    if not job.is_signed:
        return options
    with suppress(FutureError):
        handler = unbound_handler(job)
        options = handlers.options_of(handler)
        options = options_for(job, handler)
    return options


def unbound_handler(job: ScheduledJob) -> Any:
    """Return the handler of a signed job. A method is returned as the class defines it.

    Raises `HandlerUnknown`, whose `job` is set, or another `InvalidCallable`.
    """
    if "." in job.callable_name:
        handler = resolve(job, None)
        return handler.on(job.task_backend) if isinstance(handler, TaskHandler) else handler
    return getattr(model_of(job), job.callable_name, None)


def resolve(job: ScheduledJob, content_object: Model | None) -> handlers.Handler:
    """Return the handler of a signed job, bound to its object if it is a method.

    Raises `HandlerUnknown`, whose `job` is set, or another `InvalidCallable`.
    """
    try:
        is_of_task = job.task_backend is not None
        return handlers.resolve(job.callable_name, content_object, is_of_task=is_of_task)
    except HandlerUnknown as unknown:
        # With the job, because a handler that schedules other jobs may raise the same error.
        unknown.job = job
        raise


def loaded_handler(job: ScheduledJob) -> Any:
    """Return the handler of an unsigned job, or None if its module is not imported.

    It imports nothing, because SQL may have written the name, and an import runs code.
    """
    if "." in job.callable_name:
        module_name, _, attribute = job.callable_name.rpartition(".")
        found = getattr(sys.modules.get(module_name), attribute, None)
        return TaskHandler(found) if is_task(found) else found
    with suppress(HandlerUnknown):
        return getattr(model_of(job), job.callable_name, None)
    return None


def model_of(job: ScheduledJob) -> type[Model] | None:
    content_type = None if job.object_id is None else content_objects.content_type(job)
    if content_type is None:
        return None
    model = content_type.model_class()
    if model is None:
        name = ".".join(content_type.natural_key())
        unknown = HandlerUnknown(f"The model {name} of the content object is not installed.")
        unknown.job = job
        raise unknown
    return model
