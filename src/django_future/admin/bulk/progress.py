"""The progress of an act on many jobs, which an entry of the log records for the next request."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import router, transaction
from django.utils import timezone
from django.utils.translation import gettext

from django_future.models import ScheduledJob

MAX_TITLE_LENGTH = 200  # of an entry of the log


@dataclass
class Progress:
    """What an act has done, and the filter that says on which jobs it acts.

    The jobs are those with an id of at most `up_to`. The act has passed those up to `last`, and has
    changed `done` of them. `untouched` counts the others by status, if their status does not permit
    the act. `changed` counts those that another user or a worker changed first, or that another
    condition excludes. `refused` counts those that could not be scheduled again.

    The entry exists before the user confirms, so that two requests of one confirmation share it.
    """

    act: str
    filter: str
    at: str
    up_to: int
    last: int = 0
    done: int = 0
    untouched: dict[str, int] = field(default_factory=dict)
    changed: int = 0
    refused: int = 0
    reason: str = ""
    author: str = ""
    note: str = ""
    note_id: int | None = None
    is_confirmed: bool = False
    has_ended: bool = False

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Return the progress that an entry of the log records."""
        return cls(**json.loads(text))

    def to_text(self) -> str:
        """Return the text for an entry of the log."""
        return json.dumps(asdict(self))

    @property
    def total_untouched(self) -> int:
        """The number of jobs that the act has passed and not touched, without those refused."""
        return sum(self.untouched.values()) + self.changed

    def count_untouched(self, status: str) -> None:
        """Count one job whose status does not permit the act."""
        self.untouched[status] = self.untouched.get(status, 0) + 1


def log_database() -> str:
    """Return the database of the log."""
    return router.db_for_write(LogEntry)


def begin(progress: Progress, user_id: Any, title: str) -> int:
    """Write the entry of the log for a whole act that is not confirmed yet, and return its id."""
    entry = LogEntry(
        user_id=user_id,
        content_type_id=ContentType.objects.get_for_model(ScheduledJob).pk,
        object_id=None,
        object_repr=(gettext("Not confirmed: %(act)s") % {"act": title})[:MAX_TITLE_LENGTH],
        action_flag=CHANGE,
        change_message=progress.to_text(),
    )
    entry.save(using=log_database())
    return int(entry.pk)


def confirm(entry_id: int, author: str, note: str, title: str) -> None:
    """Record that the user has confirmed the act. Only the first confirmation counts."""
    with transaction.atomic(using=log_database()):
        progress = locked(entry_id)
        if progress is not None and not progress.is_confirmed:
            progress.is_confirmed, progress.author, progress.note = True, author, note
            record(entry_id, progress, title)


def recorded(entry_id: int, user_id: Any) -> Progress | None:
    """Return the progress of an act that this user began; None if its entry was deleted."""
    entries = LogEntry.objects.using(log_database()).filter(pk=entry_id, user_id=user_id)
    entry = entries.first()
    return None if entry is None else Progress.from_text(entry.change_message)


def locked(entry_id: int) -> Progress | None:
    """Return the progress, and lock its entry until the open transaction of the log ends."""
    entries = LogEntry.objects.using(log_database()).filter(pk=entry_id)
    # An update locks the row on each database, and on SQLite also keeps other writers out.
    if not entries.update(action_time=timezone.now()):
        return None
    return Progress.from_text(entries.get().change_message)


def record(entry_id: int, progress: Progress, title: str) -> None:
    """Write the progress to the entry of the log."""
    LogEntry.objects.using(log_database()).filter(pk=entry_id).update(
        change_message=progress.to_text(), object_repr=title[:MAX_TITLE_LENGTH]
    )
