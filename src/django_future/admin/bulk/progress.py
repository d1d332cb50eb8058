"""The progress of an act on many jobs, which an entry of the log records for the next request."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth import get_user_model
from django.contrib.contenttypes.models import ContentType
from django.db import router, transaction
from django.db.models import F
from django.utils import timezone

from django_future.models import ScheduledJob

MAX_TITLE_LENGTH = 200  # of an entry of the log


@dataclass
class Progress:
    """What an act has done, and the filter that says on which jobs it acts.

    The jobs are those with an id of at most `up_to`. The act has passed those up to `last`, and has
    changed `done` of them. `untouched` counts the others by status, if their status does not permit
    the act. `changed` counts those that another user or a worker changed first, or that another
    condition excludes. `refused` counts those that could not be scheduled again.

    Until the user confirms, only the session has it. Two requests of one confirmation share the
    entry, which has their `key`, and is newer than `newest_entry`.
    """

    key: str
    newest_entry: int
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
    has_ended: bool = False

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Return the progress that an entry of the log, or a session, records."""
        return cls(**json.loads(text))

    def to_text(self) -> str:
        """Return the text for an entry of the log, or for a session."""
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


def newest_entry() -> int:
    """Return the id of the newest entry of the log, or 0."""
    entries = LogEntry.objects.using(log_database())
    return entries.order_by("-pk").values_list("pk", flat=True).first() or 0


def begin(progress: Progress, user_id: Any, title: str) -> int:
    """Write the entry of the log for an act that the user has confirmed, and return its id.

    If another request of the same confirmation was first, return the id of its entry.
    """
    with transaction.atomic(using=log_database()):
        _lock_user(user_id)
        kind = ContentType.objects.get_for_model(ScheduledJob)
        entries = LogEntry.objects.using(log_database()).filter(
            user_id=user_id,
            content_type_id=kind.pk,
            pk__gt=progress.newest_entry,
            change_message__contains=progress.key,
        )
        found = entries.order_by("pk").first()
        if found is None:
            found = LogEntry(
                user_id=user_id,
                content_type_id=kind.pk,
                object_id=None,
                object_repr=title[:MAX_TITLE_LENGTH],
                action_flag=CHANGE,
                change_message=progress.to_text(),
            )
            found.save(using=log_database())
    return int(found.pk)


def _lock_user(user_id: Any) -> None:
    """Let other requests of this user wait until the open transaction of the log ends."""
    name = get_user_model().USERNAME_FIELD
    users = get_user_model()._base_manager.using(log_database()).filter(pk=user_id)
    # An update locks the row on each database, and on SQLite also keeps other writers out.
    users.update(**{name: F(name)})


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
