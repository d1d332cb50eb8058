"""Actions on the recurring jobs that are selected in the admin."""

from collections.abc import Callable, Iterable
from typing import Any

from django.contrib import messages
from django.contrib.admin import action
from django.db import DatabaseError, InterfaceError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase
from django.utils.translation import gettext, ngettext_lazy
from django.utils.translation import gettext_lazy as _

from django_future.admin import actions
from django_future.admin.read_only import ReadOnlyAdmin
from django_future.admin.reports import report_missing
from django_future.models import RecurringJob
from django_future.models.failures import MAX_AUTHOR_LENGTH
from django_future.models.recurring import NOT_DECLARED
from django_future.store import Store, store_for
from django_future.store.contention import retry_on_contention, write_transaction

MAX_REFUSALS = 10  # messages
_PAUSED = ngettext_lazy(
    "%(count)s recurring job was paused.", "%(count)s recurring jobs were paused.", "count"
)
_PAUSED_ALREADY = ngettext_lazy(
    "%(count)s recurring job was paused already.",
    "%(count)s recurring jobs were paused already.",
    "count",
)
_RESUMED = ngettext_lazy(
    "%(count)s recurring job was resumed.", "%(count)s recurring jobs were resumed.", "count"
)
_NOT_PAUSED = ngettext_lazy(
    "%(count)s recurring job was not paused.", "%(count)s recurring jobs were not paused.", "count"
)
_TRIGGERED = ngettext_lazy("%(count)s run is due now.", "%(count)s runs are due now.", "count")
_MORE_REFUSALS = ngettext_lazy(
    "The same or another reason applies to %(count)s more.",
    "The same or other reasons apply to %(count)s more.",
    "count",
)
_DECLARED = ngettext_lazy(
    "The code declares %(count)s of them. Remove the declaration first. Nothing was deleted.",
    "The code declares %(count)s of them. Remove the declarations first. Nothing was deleted.",
    "count",
)


def is_declared(recurring: RecurringJob) -> bool:
    """Return whether the code declares it, so that it would come back after a deletion."""
    return recurring.is_declared and recurring.error != NOT_DECLARED


@action(permissions=["operate"], description=_("Resume selected %(verbose_name_plural)s"))
def resume_selected(
    model_admin: ReadOnlyAdmin, request: HttpRequest, queryset: QuerySet[RecurringJob]
) -> None:
    """Resume the selected recurring jobs, and report how many were not paused."""
    report_missing(model_admin, request, queryset)
    resume(model_admin, request, list(queryset))


@action(permissions=["operate"], description=_("Run selected %(verbose_name_plural)s now"))
def trigger_selected(
    model_admin: ReadOnlyAdmin, request: HttpRequest, queryset: QuerySet[RecurringJob]
) -> None:
    """Schedule one more run of each selected recurring job, due at once."""
    report_missing(model_admin, request, queryset)
    trigger(model_admin, request, list(queryset))


@action(permissions=["delete"], description=_("Delete selected %(verbose_name_plural)s"))
def delete_selected(
    model_admin: ReadOnlyAdmin, request: HttpRequest, queryset: QuerySet[Any]
) -> HttpResponseBase | None:
    """Delete the selected recurring jobs after a confirmation, unless the code declares some."""
    if declared := queryset.filter(is_declared=True).exclude(error=NOT_DECLARED).count():
        model_admin.message_user(request, _DECLARED % {"count": declared}, messages.ERROR)
        return None
    return actions.delete_few(model_admin, request, queryset)


def pause(
    model_admin: ReadOnlyAdmin, request: HttpRequest, rows: list[RecurringJob], reason: str = ""
) -> None:
    """Pause recurring jobs in the name of the user, and report how many were paused before."""
    active = [row for row in rows if not row.is_paused]
    author = request.user.get_username()[:MAX_AUTHOR_LENGTH]

    def pause_one(row: RecurringJob) -> str:
        row.pause(reason, author)
        return gettext("Paused: %(reason)s") % {"reason": reason} if reason else gettext("Paused.")

    _act(model_admin, request, active, pause_one, _PAUSED)
    if skipped := len(rows) - len(active):
        model_admin.message_user(request, _PAUSED_ALREADY % {"count": skipped}, messages.WARNING)


def resume(model_admin: ReadOnlyAdmin, request: HttpRequest, rows: list[RecurringJob]) -> None:
    """Resume recurring jobs, and report how many were not paused."""
    paused = [row for row in rows if row.is_paused]

    def resume_one(row: RecurringJob) -> str:
        row.resume()
        return gettext("Resumed.")

    _act(model_admin, request, paused, resume_one, _RESUMED)
    if skipped := len(rows) - len(paused):
        model_admin.message_user(request, _NOT_PAUSED % {"count": skipped}, messages.WARNING)


def trigger(model_admin: ReadOnlyAdmin, request: HttpRequest, rows: list[RecurringJob]) -> None:
    """Schedule one more run of each recurring job, due at once."""

    def trigger_one(row: RecurringJob) -> str:
        return gettext("Run now as job %(number)s.") % {"number": row.trigger().pk}

    _act(model_admin, request, rows, trigger_one, _TRIGGERED)


@retry_on_contention
def act_and_log(
    store: Store,
    model_admin: ReadOnlyAdmin,
    request: HttpRequest,
    row: RecurringJob,
    act: Callable[[RecurringJob], str],
) -> None:
    """Act on a row, and write what `act` returns into its history."""
    with write_transaction(store):
        model_admin.log_change(request, row, act(row))


def _act(
    model_admin: ReadOnlyAdmin,
    request: HttpRequest,
    rows: Iterable[RecurringJob],
    act: Callable[[RecurringJob], str],
    report: Any,
) -> None:
    """Act on each row, log what `act` returns, and report those done and why others failed."""
    done, refusals = 0, []
    for row in rows:
        try:
            act_and_log(store_for(row._state.db), model_admin, request, row, act)
        except (DatabaseError, InterfaceError):
            raise
        except Exception as error:  # noqa: BLE001 - a row that SQL wrote may raise anything
            refusals.append(f"{row}: {error}")
        else:
            done += 1
    if done:
        model_admin.message_user(request, report % {"count": done}, messages.SUCCESS)
    for refusal in refusals[:MAX_REFUSALS]:
        model_admin.message_user(request, refusal, messages.ERROR)
    if more := len(refusals[MAX_REFUSALS:]):
        model_admin.message_user(request, _MORE_REFUSALS % {"count": more}, messages.ERROR)
