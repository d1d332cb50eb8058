"""What a job calls, with what, and by which options."""

import inspect
import reprlib
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from types import FunctionType
from typing import Any

from asgiref.sync import async_to_sync, iscoroutinefunction
from django.db.models import Model

from django_future import content_objects, handlers, parameters
from django_future.exceptions import (
    FutureError,
    HandlerUnknown,
    InvalidArguments,
    InvalidOption,
    NotAwaited,
)
from django_future.models import ScheduledJob
from django_future.options import WHEN_RUN, JobOptions

Wrap = Callable[[handlers.Handler], handlers.Handler]


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


def options_for(job: ScheduledJob, handler: Any) -> JobOptions:
    """Return by which options `job` runs: those of its handler, and what was said of it alone.

    Raises `InvalidOption` or `InvalidArguments` if the row does not hold options.
    """
    usual, own = handlers.options_of(handler), job.options
    if own is None:
        return usual
    if not isinstance(own, dict):
        raise InvalidOption(f"The options of the job are {reprlib.repr(own)}. Reschedule it.")
    if unknown := {str(name) for name in own.keys() - WHEN_RUN}:
        names = ", ".join(map(repr, sorted(unknown)))
        raise InvalidOption(
            f"This version knows no option {names} that is read when a job runs. Reschedule it."
        )
    try:
        return replace(usual, **own)
    except TypeError as error:
        raise InvalidOption(f"The options of the job are {reprlib.repr(own)}: {error}.") from error


def unbound_handler(job: ScheduledJob) -> Any:
    """Return the handler of `job`; if that is a method of its object, as the class has it.

    Raises `HandlerUnknown` with the job, or another `InvalidCallable`.
    """
    if "." in job.callable_name:
        return _resolve(job, None)
    return getattr(model_of(job), job.callable_name, None)


def handler_at_hand(job: ScheduledJob) -> Any:
    """Return the handler of a job that nobody vouches for, or None if its module is not imported.

    To import a module that SQL named would be to run it.
    """
    if "." in job.callable_name:
        module_name, _, attribute = job.callable_name.rpartition(".")
        return getattr(sys.modules.get(module_name), attribute, None)
    with suppress(HandlerUnknown):
        return getattr(model_of(job), job.callable_name, None)
    return None


def call(
    job: ScheduledJob,
    unbound: Any,
    wrap_coroutine: Wrap = lambda handler: handler,
    on_call: Callable[[], None] = lambda: None,
) -> Any:
    """Call the handler of a job with its arguments, and return what it returns.

    One that is a coroutine function is awaited as what `wrap_coroutine` makes of it. `on_call` is
    called once the arguments are loaded, just before the handler.

    Raises `NotAwaited` if the handler returns what has yet to run.
    """
    args, kwargs = _arguments(job)
    content_object, handler = _content_object(job), unbound
    if "." not in job.callable_name:
        handler = _resolve(job, content_object)
    elif content_object is not None:
        args.insert(0, content_object)
    if handlers.takes_job(handler):
        args.insert(0, job)
    is_async = _is_coroutine_function(handler)
    call = async_to_sync(wrap_coroutine(handler)) if is_async else handler
    on_call()
    try:
        result = call(*args, **kwargs)
    except TypeError as error:
        _check_arguments(job, handler, args, kwargs, error)
        raise
    if result is not None:
        _check_has_run(job, result)
    return result


def _is_coroutine_function(handler: handlers.Handler) -> bool:
    if type(handler) is FunctionType and not handler.__dict__:  # nothing has marked it as one
        return bool(handler.__code__.co_flags & inspect.CO_COROUTINE)
    return iscoroutinefunction(handler)


def _check_has_run(job: ScheduledJob, result: Any) -> None:
    kind = type(result)
    if kind in {bool, int, str, dict, list}:  # most results; the check below takes a while
        return
    if inspect.isawaitable(result) or inspect.isgenerator(result) or inspect.isasyncgen(result):
        if inspect.iscoroutine(result):
            result.close()  # or Python warns of it later
        raise NotAwaited(
            f"{job.callable_name} returned a {kind.__name__}, so its body has not run. Declare "
            "the handler with async def, or call what it wraps; do not yield in it."
        )


def _arguments(job: ScheduledJob) -> tuple[list[Any], dict[str, Any]]:
    args, kwargs = job.args, job.kwargs
    if not isinstance(args, list | tuple) or not isinstance(kwargs, dict):
        raise InvalidArguments(
            f"The row of job {job.pk} holds no list of arguments, or no dictionary of keyword "
            "arguments. Reschedule it with args and kwargs."
        )
    return list(args), dict(kwargs)


def _resolve(job: ScheduledJob, content_object: Model | None) -> handlers.Handler:
    try:
        return handlers.resolve(job.callable_name, content_object)
    except HandlerUnknown as unknown:
        # Handlers schedule jobs, too, and may raise it of others.
        unknown.job = job
        raise


def _content_object(job: ScheduledJob) -> Model | None:
    model = model_of(job)
    if model is None:
        return None
    found = content_objects.find(job, model)
    ScheduledJob._meta.get_field("content_object").set_cached_value(job, found)
    return found


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


def _check_arguments(
    job: ScheduledJob,
    handler: handlers.Handler,
    args: list[Any],
    kwargs: dict[str, Any],
    error: TypeError,
) -> None:
    leading = handlers.leading(job.callable_name, handler, is_bound=job.object_id is not None)
    try:
        parameters.check_arguments(
            job.callable_name, handler, leading, args[len(leading) :], kwargs
        )
    except InvalidArguments as refusal:
        raise refusal from error
