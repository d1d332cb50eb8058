"""What can be done to failed jobs."""

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from django_future.admin import reports
from django_future.admin.logged_acts import LoggedAct
from django_future.models import ScheduledJob
from django_future.scheduling.dealt_with import reopen_failures
from django_future.scheduling.retry import retry_jobs
from django_future.status import Status
from django_future.store import failure_notes, store_for


def deal_with(text: str, author: str, database: str) -> LoggedAct:
    """Return the act that marks failed jobs as dealt with, all with one note."""
    store = store_for(database)
    note = failure_notes.new_note(store, text, author)  # one for all batches
    entry = gettext("Dealt with: %(note)s") % {"note": note.text} if note.text else None
    return LoggedAct(
        lambda jobs: failure_notes.deal_with(store, jobs, note),
        _is_open,
        entry or _("Dealt with."),
        reports.DEALT_WITH,
        reports.NOT_DEALT_WITH,
    )


def _is_open(job: ScheduledJob) -> bool:
    return job.status == Status.FAILED and job.failure_note_id is None


def _is_dealt_with(job: ScheduledJob) -> bool:
    return job.status == Status.FAILED and job.failure_note_id is not None


RETRY = LoggedAct(retry_jobs, _is_open, _("Retried."), reports.RETRIED, reports.NOT_OPEN)
REOPEN = LoggedAct(
    reopen_failures, _is_dealt_with, _("Reopened."), reports.REOPENED, reports.NOT_REOPENED
)
