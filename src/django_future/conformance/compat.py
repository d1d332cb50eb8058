"""Django's Tasks API under one set of names: of Django 6.0 and later, or of the backport."""

import inspect
from typing import TYPE_CHECKING, Any, TypeAlias

import django

if TYPE_CHECKING or django.VERSION >= (6, 0):
    from django.tasks import default_task_backend, task, task_backends
    from django.tasks.backends.base import BaseTaskBackend
    from django.tasks.base import Task, TaskContext, TaskError, TaskResult, TaskResultStatus
    from django.tasks.exceptions import (
        InvalidTask,
        InvalidTaskBackend,
        TaskResultDoesNotExist,
        TaskResultMismatch,
    )
    from django.tasks.signals import task_enqueued, task_finished, task_started

    LOGGER = "django.tasks"
else:
    from django_tasks import default_task_backend, exceptions, task, task_backends
    from django_tasks.backends.base import BaseTaskBackend
    from django_tasks.base import Task, TaskContext, TaskError, TaskResult, TaskResultStatus
    from django_tasks.exceptions import TaskResultDoesNotExist, TaskResultMismatch
    from django_tasks.signals import task_enqueued, task_finished, task_started

    # The releases up to 0.12 have names of their own.
    InvalidTask = getattr(exceptions, "InvalidTask", None) or exceptions.InvalidTaskError
    InvalidTaskBackend = (
        getattr(exceptions, "InvalidTaskBackend", None) or exceptions.InvalidTaskBackendError
    )
    LOGGER = "django_tasks"

if TYPE_CHECKING:
    AnyTask: TypeAlias = Task[..., Any]
    AnyResult: TypeAlias = TaskResult[..., Any]
    AnyContext: TypeAlias = TaskContext[..., Any]
else:  # the classes of Django are not generic
    AnyTask, AnyResult, AnyContext = Task, TaskResult, TaskContext

# The module of the decorator `task`, for modules that the suite writes.
TASKS_MODULE = task.__module__.rpartition(".")[0]

# Django 6.1 introduced both.
DECORATOR_TAKES_KEYWORDS = any(
    parameter.kind is parameter.VAR_KEYWORD
    for parameter in inspect.signature(task).parameters.values()
)
TASKS_CAN_BE_PICKLED = "__reduce__" in vars(Task)

__all__ = [
    "DECORATOR_TAKES_KEYWORDS",
    "LOGGER",
    "TASKS_CAN_BE_PICKLED",
    "TASKS_MODULE",
    "AnyContext",
    "AnyResult",
    "AnyTask",
    "BaseTaskBackend",
    "InvalidTask",
    "InvalidTaskBackend",
    "Task",
    "TaskContext",
    "TaskError",
    "TaskResult",
    "TaskResultDoesNotExist",
    "TaskResultMismatch",
    "TaskResultStatus",
    "default_task_backend",
    "task",
    "task_backends",
    "task_enqueued",
    "task_finished",
    "task_started",
]
