"""The handler of a job, and the options by which it runs."""

import reprlib
import sys
from contextlib import suppress
from dataclasses import replace
from typing import Any

from django.db.models import Model

from django_future import content_objects, handlers
from django_future.exceptions import FutureError, HandlerUnknown, InvalidOption
from django_future.models import ScheduledJob
from django_future.options import RUN_OPTIONS, JobOptions


def options_for(job: ScheduledJob, handler: Any) -> JobOptions:
    """Return by which options `job` runs: those of its handler, and what was said of it alone.

    Raises `InvalidOption` or `InvalidArguments` if the row does not hold options.
    """
    usual, own = handlers.options_of(handler), job.options
    if own is None:
        return usual
    if not isinstance(own, dict):
        raise InvalidOption(f"The options of the job are {reprlib.repr(own)}. Reschedule it.")
    if unknown := {str(name) for name in own.keys() - RUN_OPTIONS}:
        names = ", ".join(map(repr, sorted(unknown)))
        raise InvalidOption(
            f"This version knows no option {names} that is read when a job runs. Reschedule it."
        )
    try:
        return replace(usual, **own)
    except TypeError as error:
        raise InvalidOption(f"The options of the job are {reprlib.repr(own)}: {error}.") from error


def options_if_known(job: ScheduledJob) -> JobOptions:
    """Return by which options `job` runs; what cannot be found or read of them is as usual."""
    options = JobOptions()
    if not job.is_signed:
        return options
    with suppress(FutureError):
        handler = unbound_handler(job)
        options = handlers.options_of(handler)
        options = options_for(job, handler)
    return options


def unbound_handler(job: ScheduledJob) -> Any:
    """Return the handler of `job`; if that is a method of its object, as the class has it.

    Raises `HandlerUnknown` with the job, or another `InvalidCallable`.
    """
    if "." in job.callable_name:
        return resolve(job, None)
    return getattr(model_of(job), job.callable_name, None)


def resolve(job: ScheduledJob, content_object: Model | None) -> handlers.Handler:
    """Return the handler of `job`, bound to its object if it is a method.

    Raises `HandlerUnknown` with the job, or another `InvalidCallable`.
    """
    try:
        return handlers.resolve(job.callable_name, content_object)
    except HandlerUnknown as unknown:
        # Handlers schedule jobs, too, and may raise it of others.
        unknown.job = job
        raise


def loaded_handler(job: ScheduledJob) -> Any:
    """Return the handler of a job that nobody vouches for, or None if its module is not imported.

    To import a module that SQL named would be to run it.
    """
    if "." in job.callable_name:
        module_name, _, attribute = job.callable_name.rpartition(".")
        return getattr(sys.modules.get(module_name), attribute, None)
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
