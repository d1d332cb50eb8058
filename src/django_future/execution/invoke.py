"""The call of a handler with the arguments of its job."""

import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any

from asgiref.sync import async_to_sync, iscoroutinefunction
from django.db.models import Model

from django_future import content_objects, handlers, parameters
from django_future.exceptions import InvalidArguments, NotAwaited
from django_future.models import ScheduledJob
from django_future.resolution import Resolution, model_of, resolve
from django_future.tasks.handler import TaskHandler

Wrap = Callable[[handlers.Handler], handlers.Handler]


def prepared_call(
    job: ScheduledJob, resolution: Resolution, wrap_coroutine: Wrap = lambda handler: handler
) -> Callable[[], Any]:
    """Load the arguments of a job, and return a function that calls its handler with them.

    A coroutine function is wrapped by `wrap_coroutine` and awaited. The function returns the result
    of the handler. It raises `NotAwaited` if that is an awaitable or a generator.
    """
    args, kwargs = _arguments(job)
    content_object = None if job.object_id is None else _content_object(job)
    handler = resolution.handler
    if "." not in job.callable_name:
        handler = resolve(job, content_object)
    elif content_object is not None:
        args.insert(0, content_object)
    if resolution.takes_job:
        args.insert(0, job)
    elif isinstance(handler, TaskHandler) and handler.task.takes_context:
        args.insert(0, _context(job, handler))
    is_async = _is_coroutine_function(handler)
    callable_ = async_to_sync(wrap_coroutine(handler)) if is_async else handler

    def call() -> Any:
        try:
            result = callable_(*args, **kwargs)
        except TypeError as error:
            _check_arguments(job, handler, args, kwargs, error)
            raise
        if result is not None:
            _check_has_run(job, result)
        return result

    return call


def _context(job: ScheduledJob, handler: TaskHandler) -> Any:
    from django_future.task_results import context_of  # noqa: PLC0415 - see `task_signals`

    return context_of(job, handler.task)


def _is_coroutine_function(handler: handlers.Handler) -> bool:
    if type(handler) is FunctionType and not handler.__dict__:  # not marked as a coroutine function
        return bool(handler.__code__.co_flags & inspect.CO_COROUTINE)
    return iscoroutinefunction(handler)


def _check_has_run(job: ScheduledJob, result: Any) -> None:
    kind = type(result)
    if kind in {bool, int, str, dict, list}:  # most results; the checks below are slow
        return
    if inspect.isawaitable(result) or inspect.isgenerator(result) or inspect.isasyncgen(result):
        if inspect.iscoroutine(result):
            result.close()  # otherwise Python warns that it was never awaited
        raise NotAwaited(
            f"{job.callable_name} returned a {kind.__name__}, so its body has not run. Declare "
            "the handler with async def and await in it, and do not use yield in it."
        )


def _arguments(job: ScheduledJob) -> tuple[list[Any], dict[str, Any]]:
    args, kwargs = job.args, job.kwargs
    if not isinstance(args, list | tuple) or not isinstance(kwargs, dict):
        raise InvalidArguments(
            f"The arguments of job {job.pk} are not a list, or its keyword arguments are not a "
            "dictionary. Reschedule the job with args and kwargs."
        )
    return list(args), dict(kwargs)


def _content_object(job: ScheduledJob) -> Model | None:
    model = model_of(job)
    if model is None:
        return None
    found = content_objects.find(job, model)
    ScheduledJob._meta.get_field("content_object").set_cached_value(job, found)
    return found


def _check_arguments(
    job: ScheduledJob,
    handler: handlers.Handler,
    args: list[Any],
    kwargs: dict[str, Any],
    error: TypeError,
) -> None:
    is_bound = job.object_id is not None
    leading = handlers.leading_arguments(job.callable_name, handler, is_bound=is_bound)
    try:
        parameters.check_arguments(
            job.callable_name, handler, leading, args[len(leading) :], kwargs
        )
    except InvalidArguments as refusal:
        raise refusal from error
