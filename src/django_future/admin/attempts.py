"""The failed attempts on the page of a job."""

from django.contrib.admin import display as labelled
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext_lazy as _

from django_future.admin import display
from django_future.models import JobAttempt, ScheduledJob

MAX_SHOWN = 20


@labelled(description=_("failed attempts"))
def failed_attempts(job: ScheduledJob) -> str:
    """Show the latest failed attempts, each with its traceback collapsed."""
    attempts = job.failed_attempts.order_by("-number", "-pk")[:MAX_SHOWN]
    return format_html_join("", "{}", ((_shown(attempt),) for attempt in attempts)) or (
        display.NOTHING
    )


def _shown(attempt: JobAttempt) -> str:
    return format_html(
        "<details><summary>{}. {} {} ({})</summary>{}</details>",
        attempt.number,
        display.instant(attempt.finished_at),
        attempt.exception,
        attempt.worker,
        display.text(attempt.traceback),
    )
