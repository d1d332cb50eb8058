"""`@job`, which makes a handler of a function: it is called as before, and can be scheduled."""

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

C = ParamSpec("C")  # the parameters of the function
P = ParamSpec("P")  # those that schedule() takes: without the job
Q = ParamSpec("Q")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
T = TypeVar("T", bound="Model")
F = TypeVar("F", bound=Callable[..., Any])


class TakesJob(Protocol[P, R_co]):
    """A function that gets its job as the first argument."""

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
        """Schedule many calls in few statements. The `specs` are those that `spec` returns.

        Raises `InvalidCallable` for a spec of another handler.
        """
        from django_future.scheduling.jobs import schedule_jobs  # noqa: PLC0415

        return schedule_jobs(map(self._own, specs))

    def spec(self, when: "When", /, *args: P.args, **kwargs: P.kwargs) -> "JobSpec":
        """Return the spec of a call, for `schedule_many` and `schedule_jobs`."""
        return {
            **self._overrides,
            "when": when,
            "callable": self._handler,
            "args": args,
            "kwargs": kwargs,
        }

    def using(self, **options: "Unpack[CallOptions]") -> "Scheduler[P]":
        """Return a scheduler of the same handler with these options."""
        from django_future.scheduling.builder import CallOptions  # noqa: PLC0415

        if unknown := options.keys() - CallOptions.__annotations__.keys():
            remedy = " Pass the arguments of the handler to schedule()."
            raise InvalidOption(
                f"In using() {unknown_option_message(unknown, CallOptions, remedy)}"
            )
        return Scheduler(self._handler, {**self._overrides, **options})

    def bound_to(self: "Scheduler[Concatenate[T, Q]]", content_object: T) -> "Scheduler[Q]":
        """Return a scheduler that passes `content_object` to the handler as its first argument."""
        bound: CallOptions = {**self._overrides, "content_object": content_object}
        return Scheduler(self._handler, bound)  # type: ignore[arg-type]

    def _own(self, spec: "JobSpec") -> "JobSpec":
        if not isinstance(spec, Mapping) or spec.get("callable") is not self._handler:
            raise InvalidCallable(
                f"A spec is not for {self._handler!r}. Create it with spec(), or pass specs of "
                "several handlers to schedule_jobs()."
            )
        return spec


class JobFunction(Scheduler[P], Generic[C, P, R]):
    """A handler: a function that can also be scheduled, with the arguments that it takes."""

    __qualname__: str

    def __init__(self, function: Callable[C, R], options: JobOptions) -> None:
        super().__init__(self, {})
        update_wrapper(self, function)
        # functools.wraps copies this attribute to a wrapper of the handler.
        self.job_options = options
        self._function = function
        if iscoroutinefunction(function):
            markcoroutinefunction(self)

    def __call__(self, *args: C.args, **kwargs: C.kwargs) -> R:
        """Call the function, now."""
        return self._function(*args, **kwargs)

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        """Return a method bound to `instance`, if a class defines the handler as a method."""
        return self if instance is None else MethodType(self, instance)

    def __reduce__(self) -> str:
        return self.__qualname__  # pickled by name, as functions are

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
    """Make a function a handler, which jobs may call, and set the options of its jobs.

    Read when a job is scheduled: `queue_name` ("default"), `priority` (0), `expires` ("7d"; None
    for never), `max_attempts` (1), `unique` and `unique_replace` (False), `rescue` (True). Read
    when it runs: `backoff` ("exponential"), `timeout` (None), `atomic` (True), `on_delete`
    ("cancel"). Read when it is shown: `sensitive_arguments` (False).

    Raises `InvalidOption`.
    """
    if function is None:
        if unknown := options.keys() - HandlerOptions.__annotations__.keys():
            raise InvalidOption(f"For @job {unknown_option_message(unknown, HandlerOptions)}")
        job_options = JobOptions(**options)
        check_delays(job_options)
        return lambda function: JobFunction(_checked(function), job_options)
    return JobFunction(_checked(function), JobOptions())


# mypy does not see that the first match decides: a handler is also a callable.
@overload
def job_as_parameter(  # type: ignore[overload-overlap]
    function: JobFunction[Concatenate["ScheduledJob", P], Concatenate["ScheduledJob", P], R],
) -> JobFunction[Concatenate["ScheduledJob", P], P, R]: ...
@overload
def job_as_parameter(function: Callable[Concatenate["ScheduledJob", P], R]) -> TakesJob[P, R]: ...
@overload
def job_as_parameter(function: F) -> F: ...
def job_as_parameter(function: Any) -> Any:
    """Pass the `ScheduledJob` to `function` as its first argument."""
    marked = _checked(function)
    marked.takes_job = True
    return marked


def _checked(function: Any) -> Any:
    if isinstance(function, classmethod):
        raise InvalidCallable("A class method cannot be a handler. Write a function that calls it.")
    if not callable(function):
        raise InvalidCallable(
            f"{function!r} is not a function. Write @job or @job_as_parameter above a def, and "
            "pass options by name, such as @job(queue_name='mail')."
        )
    return function
