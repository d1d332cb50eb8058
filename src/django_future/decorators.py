"""`@job`: what it makes of a function, which is called as before, and can be scheduled."""

from collections.abc import Callable, Iterable, Mapping
from functools import update_wrapper
from types import MethodType
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Generic,
    Literal,
    ParamSpec,
    Protocol,
    TypeVar,
    Unpack,
    overload,
)

from asgiref.sync import iscoroutinefunction, markcoroutinefunction

from django_future.exceptions import InvalidCallable, InvalidOption
from django_future.options import HandlerOptions, JobOptions, check_delays, unknown_option_message

if TYPE_CHECKING:
    from django.db.models import Model

    from django_future.models import ScheduledJob
    from django_future.scheduling.builder import CallOptions, JobSpec
    from django_future.when import When

C = ParamSpec("C")  # how it is called
P = ParamSpec("P")  # with what it is scheduled
Q = ParamSpec("Q")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
T = TypeVar("T", bound="Model")
F = TypeVar("F", bound=Callable[..., Any])


class TakesJob(Protocol[P, R_co]):
    """A function that is passed its job before all other arguments."""

    takes_job: Literal[True]

    def __call__(self, job: "ScheduledJob", /, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Call the function."""


class Scheduler(Generic[P]):
    """Schedules one handler, with arguments that fit its signature."""

    def __init__(self, handler: "JobFunction[..., P, Any]", overrides: "CallOptions") -> None:
        self._handler = handler
        self._overrides = overrides

    def schedule(self, when: "When", /, *args: P.args, **kwargs: P.kwargs) -> "ScheduledJob":
        """Schedule a call with these arguments; see `schedule_job`."""
        from django_future.scheduling.jobs import schedule_job  # noqa: PLC0415

        return schedule_job(**self.spec(when, *args, **kwargs))

    async def aschedule(self, when: "When", /, *args: P.args, **kwargs: P.kwargs) -> "ScheduledJob":
        """Schedule a call with these arguments; see `aschedule_job`."""
        from django_future.scheduling.jobs import aschedule_job  # noqa: PLC0415

        return await aschedule_job(**self.spec(when, *args, **kwargs))

    def schedule_many(self, specs: "Iterable[JobSpec]") -> "list[ScheduledJob]":
        """Schedule many calls in few statements, each of them said by `spec`.

        Raises `InvalidCallable` for one of another handler.
        """
        from django_future.scheduling.jobs import schedule_jobs  # noqa: PLC0415

        return schedule_jobs(map(self._own, specs))

    def spec(self, when: "When", /, *args: P.args, **kwargs: P.kwargs) -> "JobSpec":
        """Return what `schedule_many` and `schedule_jobs` take for a call with these arguments."""
        return {
            **self._overrides,
            "when": when,
            "callable": self._handler,
            "args": args,
            "kwargs": kwargs,
        }

    def using(self, **options: "Unpack[CallOptions]") -> "Scheduler[P]":
        """Return what schedules the same handler with other options."""
        from django_future.scheduling.builder import CallOptions  # noqa: PLC0415

        if unknown := options.keys() - CallOptions.__annotations__.keys():
            remedy = " Give the arguments of the handler to schedule()."
            raise InvalidOption(
                f"In using() {unknown_option_message(unknown, CallOptions, remedy)}"
            )
        return Scheduler(self._handler, {**self._overrides, **options})

    def bound_to(self: "Scheduler[Concatenate[T, Q]]", content_object: T) -> "Scheduler[Q]":
        """Return what binds its jobs to an object, which is the handler's first argument."""
        bound: CallOptions = {**self._overrides, "content_object": content_object}
        return Scheduler(self._handler, bound)  # type: ignore[arg-type]

    def _own(self, spec: "JobSpec") -> "JobSpec":
        if not isinstance(spec, Mapping) or spec.get("callable") is not self._handler:
            raise InvalidCallable(
                f"A spec is not one of {self._handler!r}. Make it with spec(), or pass specs of "
                "several handlers to schedule_jobs()."
            )
        return spec


class JobFunction(Scheduler[P], Generic[C, P, R]):
    """A handler: called as the function that it was, and scheduled with what it is called with."""

    __qualname__: str

    def __init__(self, function: Callable[C, R], options: JobOptions) -> None:
        super().__init__(self, {})
        update_wrapper(self, function)
        # Whoever wraps a handler takes this over, with the other attributes of a function.
        self.job_options = options
        self._function = function
        if iscoroutinefunction(function):
            markcoroutinefunction(self)

    def __call__(self, *args: C.args, **kwargs: C.kwargs) -> R:
        """Call the function, now."""
        return self._function(*args, **kwargs)

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        """Return the method of `instance`, where the function is one of its class."""
        return self if instance is None else MethodType(self, instance)

    def __reduce__(self) -> str:
        return self.__qualname__  # as functions are pickled: by name

    def __repr__(self) -> str:
        return f"<job {self.__module__}.{self.__qualname__}>"


class Decorator(Protocol):
    """What `@job(...)` returns."""

    @overload
    def __call__(
        self, function: TakesJob[P, R], /
    ) -> JobFunction[Concatenate["ScheduledJob", P], P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> JobFunction[P, P, R]: ...


@overload
def job(function: TakesJob[P, R], /) -> JobFunction[Concatenate["ScheduledJob", P], P, R]: ...
@overload
def job(function: Callable[P, R], /) -> JobFunction[P, P, R]: ...
@overload
def job(**options: Unpack[HandlerOptions]) -> Decorator: ...
def job(function: Any = None, /, **options: Any) -> Any:
    """Make a handler of a function, wherever it is defined, whose jobs have these options.

    Read when a job is scheduled: `queue_name` ("default"), `priority` (0), `expires` ("7d"; None
    for never), `max_attempts` (1), `unique` and `unique_replace` (False), `rescue` (True). Read
    when it runs: `backoff` ("exponential"), `timeout` (None), `atomic` (True), `on_delete`
    ("cancel"). Read when it is shown: `sensitive_arguments` (False).

    Raises `InvalidOption`.
    """
    if function is None:
        if unknown := options.keys() - HandlerOptions.__annotations__.keys():
            raise InvalidOption(f"For @job {unknown_option_message(unknown, HandlerOptions)}")
        known = JobOptions(**options)
        check_delays(known)
        return lambda function: JobFunction(_checked(function), known)
    return JobFunction(_checked(function), JobOptions())


@overload
def job_as_parameter(function: Callable[Concatenate["ScheduledJob", P], R]) -> TakesJob[P, R]: ...
@overload
def job_as_parameter(function: F) -> F: ...
def job_as_parameter(function: Any) -> Any:
    """Pass the `ScheduledJob` to `function`, before all other arguments."""
    taking = _checked(function)
    taking.takes_job = True
    return taking


def _checked(function: Any) -> Any:
    if isinstance(function, classmethod):
        raise InvalidCallable("A class method is no handler. Write a function that calls it.")
    if not callable(function):
        raise InvalidCallable(
            f"{function!r} is no function. Write @job or @job_as_parameter above the def of one, "
            "and options by name, such as @job(queue_name='mail')."
        )
    return function
