"""The queue of a job, and why the job waits in it."""

from collections.abc import Callable
from typing import Any

from django.contrib.admin import display as labelled
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from django_future.admin.changelist import MAX_COUNTED
from django_future.models import ScheduledJob, Worker
from django_future.status import Status

_WORKERS = "django_future_workers"


def parked_notice(jobs: Any) -> str | None:
    """Return a sentence with the number of parked jobs, or None if there are none."""
    counted: int = jobs.order_by().parked().values("pk")[: MAX_COUNTED + 1].count()
    return parked_text(counted, MAX_COUNTED)


def parked_text(counted: int, most: int) -> str | None:
    """Return a sentence with a number of parked jobs, which is a lower bound above `most`."""
    if not counted:
        return None
    text = ngettext(
        "%(count)s job is parked: its signature is not valid",
        "%(count)s jobs are parked: their signatures are not valid",
        counted,
    )
    count = str(counted) if counted <= most else f"{most}+"
    return text % {"count": count}


def known_workers(request: HttpRequest) -> list[Worker]:
    """Return the workers with their queues, from one query for each request."""
    found: list[Worker] | None = getattr(request, _WORKERS, None)
    if found is None:
        found = list(Worker.objects.only("queues"))
        setattr(request, _WORKERS, found)
    return found


def queue_column(request: HttpRequest) -> Callable[[Any], str]:
    """Return a function that shows the queue of a job on the page of this request."""
    workers: Any = SimpleLazyObject(lambda: known_workers(request))

    @labelled(description=_("queue"))
    def queue_name(job: ScheduledJob) -> str:
        if job.status != Status.SCHEDULED:
            return str(job.queue_name)
        if getattr(job, "is_paused", False):
            return _("%(queue)s (paused)") % {"queue": job.queue_name}
        # If there are no workers, one-off runs may serve every queue.
        if workers and not any(worker.serves(job.queue_name) for worker in workers):
            return _("%(queue)s (no worker)") % {"queue": job.queue_name}
        return str(job.queue_name)

    return queue_name
