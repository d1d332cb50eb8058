"""The class of the tasks of this backend, which have the options of `@job`."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal, Self

from django_future.options import UNSET, Unset
from django_future.retries import Backoff
from django_future.tasks.api import Task
from django_future.tasks.options import check_names


@dataclass(frozen=True, slots=True, kw_only=True)
class FutureTask(Task):  # type: ignore[type-arg]
    """A task with options, such as `@task(max_attempts=5, timeout="30s")`.

    On Django 6.0, whose `@task` takes no options, call `using()` on the task. An option that is not
    given follows the `OPTIONS` of the backend.
    """

    max_attempts: int | Unset = UNSET
    backoff: Backoff | Unset = UNSET
    timeout: timedelta | str | Unset | None = UNSET
    expires: timedelta | str | Unset | None = UNSET
    unique: bool | str | Callable[..., str] | Unset = UNSET
    unique_replace: bool | Unset = UNSET
    atomic: bool | Unset = UNSET
    rescue: bool | Unset = UNSET
    on_delete: Literal["cancel", "fail"] | Unset = UNSET
    sensitive_arguments: bool | Collection[str] | Unset = UNSET

    # Not super(): the class that `slots` creates is another one than that of the method.
    def using(
        self,
        *,
        priority: int | None = None,
        queue_name: str | None = None,
        run_after: datetime | timedelta | None = None,
        backend: str | None = None,
        **options: Any,
    ) -> Self:
        """Return a copy of the task with other values.

        A timedelta in `run_after` counts from the time at which the task is enqueued. Raises
        `InvalidTask`, or `TypeError` for an unknown option.
        """
        check_names(options)
        given = {
            "priority": priority,
            "queue_name": queue_name,
            "run_after": run_after,
            "backend": backend,
        }
        changes: Any = {name: value for name, value in given.items() if value is not None}
        return replace(self, **changes, **options)
