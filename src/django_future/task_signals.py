"""Sends the signals of the Tasks API. A receiver that raises changes nothing.

It imports the API in its functions, because on Django 5.2 a project without tasks does not have it.
"""

import logging
import sys
from collections.abc import Collection, Iterable
from functools import partial
from typing import Any

from django.db import transaction

from django_future.disclosure import disclosed
from django_future.models import ScheduledJob
from django_future.resolution import options_if_known
from django_future.task_log import is_noticed


def send_enqueued(result: Any, database: str) -> None:
    """Send `task_enqueued` when the row of the task is committed."""
    from django_future.tasks import api  # noqa: PLC0415

    if not is_noticed(api.task_enqueued, logging.DEBUG):
        return
    send = partial(api.task_enqueued.send_robust, _sender(result.backend), task_result=result)
    transaction.on_commit(send, using=database)


def is_start_noticed() -> bool:
    """Return whether `task_started` has a receiver that does something; Django's log may not."""
    from django_future.tasks import api  # noqa: PLC0415

    return is_noticed(api.task_started)


def send_started(job: ScheduledJob) -> None:
    """Send `task_started` before the function of a task is called."""
    from django_future.task_results import result_of  # noqa: PLC0415
    from django_future.tasks import api  # noqa: PLC0415

    api.task_started.send_robust(_sender(job.task_backend), task_result=result_of(job))


def send_finished(job: ScheduledJob, exception: Exception | None = None) -> None:
    """Send `task_finished` after the end of a task is recorded.

    The receivers run while the exception of a failure is handled, so that Django's log contains
    its traceback. Its text is hidden if an argument is sensitive.
    """
    if exception is None:
        _send_finished(job)
        return
    is_sensitive = bool(options_if_known(job).sensitive_arguments)
    if sys.exc_info()[0] is not None and not is_sensitive:
        _send_finished(job)
        return
    reported = disclosed(exception, is_sensitive=is_sensitive)
    context = reported.__context__
    try:
        raise reported
    except type(reported):
        reported.__context__ = context  # not what is handled here, which is not hidden
        _send_finished(job)


def send_complete(jobs: Iterable[ScheduledJob]) -> None:
    """Send `task_finished` for tasks that are complete, if a receiver does something."""
    from django_future.tasks import api  # noqa: PLC0415

    if is_noticed(api.task_finished):
        for job in jobs:
            _send_finished(job)


def _send_finished(job: ScheduledJob) -> None:
    from django_future.task_results import result_of  # noqa: PLC0415
    from django_future.tasks import api  # noqa: PLC0415

    api.task_finished.send_robust(_sender(job.task_backend), task_result=result_of(job))


def send_all_finished(ids: Collection[int], database: str) -> None:
    """Send `task_finished` for those of the jobs that are tasks, when their end is committed."""
    tasks = ScheduledJob.objects.using(database).filter(pk__in=ids, task_backend__isnull=False)
    for job in tasks if ids else []:
        # Robust, so that one that fails neither stops the others nor makes the caller repeat them.
        transaction.on_commit(partial(send_finished, job), using=database, robust=True)


def _sender(alias: str | None) -> type[Any]:
    from django_future.tasks import api  # noqa: PLC0415

    try:
        return type(api.task_backends[alias or ""])
    except api.InvalidTaskBackend:  # the alias is gone from the settings
        return api.BaseTaskBackend
