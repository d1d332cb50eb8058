"""What a user reads about an act on many jobs: how many were touched, how many not, and why."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest
from django.utils.translation import gettext, ngettext

from django_future.admin import reports
from django_future.admin.bulk.acts import Act
from django_future.admin.bulk.progress import Progress
from django_future.status import Status


def sentences(act: Act, progress: Progress) -> list[tuple[int, str]]:
    """Return sentences, each with the level of its message."""
    found = []
    if progress.done or not (progress.total_untouched or progress.refused):
        found.append((messages.SUCCESS, str(act.done % {"count": progress.done})))
    if untouched := progress.total_untouched:
        text = str(act.untouched % {"count": untouched})
        found.append((messages.WARNING, f"{text} {_by_status(progress)}".strip()))
    if progress.refused:
        details = {"count": progress.refused, "reason": progress.reason}
        found.append((messages.ERROR, str(reports.REFUSED % details)))
    return found


def report(model_admin: Any, request: HttpRequest, act: Act, progress: Progress) -> None:
    """Show the result above the list."""
    for level, text in sentences(act, progress):
        model_admin.message_user(request, text, level)


def _by_status(progress: Progress) -> str:
    labels = dict(Status.choices)
    parts = [f"{count} {labels.get(name, name)}" for name, count in progress.untouched.items()]
    if progress.changed and parts:
        other = ngettext("%(count)s for another reason", "%(count)s for other reasons",
                         progress.changed)  # fmt: skip
        parts.append(other % {"count": progress.changed})
    return gettext("By status: %(list)s.") % {"list": ", ".join(parts)} if parts else ""
