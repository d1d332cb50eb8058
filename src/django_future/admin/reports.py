"""What a user reads after an act on jobs: how many were touched, how many not, and why."""

from typing import Any

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import ngettext_lazy

CANCELLED = ngettext_lazy("%(count)s job was cancelled.", "%(count)s jobs were cancelled.", "count")
NOT_CANCELLED = ngettext_lazy(
    "%(count)s job was not cancelled: it is running or has ended.",
    "%(count)s jobs were not cancelled: they are running or have ended.",
    "count",
)
ENDED = ngettext_lazy(
    "%(count)s job was not cancelled: it has ended.",
    "%(count)s jobs were not cancelled: they have ended.",
    "count",
)
RETRIED = ngettext_lazy(
    "%(count)s job will be retried.", "%(count)s jobs will be retried.", "count"
)
NOT_RETRIED = ngettext_lazy(
    "%(count)s job was not retried: it has not failed, expired or been cancelled.",
    "%(count)s jobs were not retried: they have not failed, expired or been cancelled.",
    "count",
)
AGAIN = ngettext_lazy("%(count)s job will run again.", "%(count)s jobs will run again.", "count")
NOT_ENDED = ngettext_lazy(
    "%(count)s job was skipped: it has not ended.",
    "%(count)s jobs were skipped: they have not ended.",
    "count",
)
REFUSED = ngettext_lazy(
    "%(count)s job cannot be scheduled again: %(reason)s",
    "%(count)s jobs cannot be scheduled again, the first for this reason: %(reason)s",
    "count",
)
NOW = ngettext_lazy("%(count)s job is due now.", "%(count)s jobs are due now.", "count")
NOT_NOW = ngettext_lazy(
    "%(count)s job was not moved: it is not scheduled.",
    "%(count)s jobs were not moved: they are not scheduled.",
    "count",
)
SIGNED = ngettext_lazy("%(count)s job was signed.", "%(count)s jobs were signed.", "count")
NOT_SIGNED = ngettext_lazy(
    "%(count)s job was not signed: it is not parked, or holds a pickle that is not signed.",
    "%(count)s jobs were not signed: they are not parked, or hold a pickle that is not signed.",
    "count",
)
DEALT_WITH = ngettext_lazy(
    "%(count)s failure is dealt with.", "%(count)s failures are dealt with.", "count"
)
NOT_DEALT_WITH = ngettext_lazy(
    "%(count)s job was not touched: it has not failed, or was dealt with before.",
    "%(count)s jobs were not touched: they have not failed, or were dealt with before.",
    "count",
)
NOT_OPEN = ngettext_lazy(
    "%(count)s job was not touched: it has not failed, or is dealt with.",
    "%(count)s jobs were not touched: they have not failed, or are dealt with.",
    "count",
)
REOPENED = ngettext_lazy(
    "%(count)s failure is open again.", "%(count)s failures are open again.", "count"
)
NOT_REOPENED = ngettext_lazy(
    "%(count)s job was not touched: it has not failed, or is not dealt with.",
    "%(count)s jobs were not touched: they have not failed, or are not dealt with.",
    "count",
)
DELETED = ngettext_lazy("%(count)s job was deleted.", "%(count)s jobs were deleted.", "count")
NOT_DELETED = ngettext_lazy(
    "%(count)s job was not deleted: it does not exist or match the filter any more.",
    "%(count)s jobs were not deleted: they do not exist or match the filter any more.",
    "count",
)
_NOT_FOUND = ngettext_lazy(
    "%(count)s of the selected %(name)s does not match the filter any more, or was deleted. It was "
    "not touched.",
    "%(count)s of the selected %(name)s do not match the filter any more, or were deleted. They "
    "were not touched.",
    "count",
)


def report_missing(model_admin: Any, request: HttpRequest, queryset: QuerySet[Any]) -> None:
    """Show how many selected rows are not in the list any more, so that an action skips them."""
    selected = set(request.POST.getlist(ACTION_CHECKBOX_NAME))
    if missing := len(selected) - queryset.order_by().count():
        details = {"count": missing, "name": model_admin.opts.verbose_name_plural}
        model_admin.message_user(request, _NOT_FOUND % details, messages.WARNING)
