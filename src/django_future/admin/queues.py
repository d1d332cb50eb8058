"""The admin of paused queues. Adding a row pauses a queue."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import DELETION, LogEntry
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext, ngettext_lazy
from django.utils.translation import gettext_lazy as _

from django_future.admin import display
from django_future.admin.columns import column
from django_future.admin.permissions import may_pause_queues
from django_future.admin.read_only import ReadOnlyAdmin
from django_future.exceptions import InvalidOption
from django_future.models import PausedQueue
from django_future.options import validate_queue_name
from django_future.scheduling.queues import pause_queue, resume_queue
from django_future.store import Store, store_for
from django_future.store.contention import retry_on_contention, write_transaction

_RESUMED = ngettext_lazy("%(count)s queue was resumed.", "%(count)s queues were resumed.", "count")
_NOT_PAUSED = ngettext_lazy(
    "%(count)s queue was not paused.", "%(count)s queues were not paused.", "count"
)
_FORM_FIELDS = ["queue_name", "reason"]
_paused_at = column(PausedQueue, "paused_at", display.instant)


@admin.action(permissions=["pause"], description=_("Resume selected %(verbose_name_plural)s"))
def resume_selected(
    model_admin: ReadOnlyAdmin, request: HttpRequest, queryset: QuerySet[PausedQueue]
) -> None:
    """Resume the selected queues, unless another user has paused them since the page was shown."""
    queues = _resumed(store_for(queryset.db), request, queryset)
    if queues is None:
        reason = gettext("the queue was resumed and paused again after the page was loaded")
        text = gettext("Nothing was changed: %(reason)s.") % {"reason": reason}
        model_admin.message_user(request, text, messages.ERROR)
        return
    if queues:
        model_admin.message_user(request, _RESUMED % {"count": len(queues)}, messages.SUCCESS)
    selected = {*request.POST.getlist(ACTION_CHECKBOX_NAME)}
    if missing := len(selected - {queue.queue_name for queue in queues}):
        model_admin.message_user(request, _NOT_PAUSED % {"count": missing}, messages.WARNING)


@retry_on_contention
def _resumed(
    store: Store, request: HttpRequest, queryset: QuerySet[PausedQueue]
) -> list[PausedQueue] | None:
    """Resume the queues, and return them; None if one was paused again since the page was shown."""
    user_id: Any = request.user.pk
    with write_transaction(store):
        queues = list(queryset.select_for_update())
        if _is_paused_again(request, queues):
            return None
        for queue in queues:
            resume_queue(queue.queue_name, using=store.alias)
        LogEntry.objects.log_actions(user_id, queues, DELETION, change_message=gettext("Resumed."))
    return queues


def _is_paused_again(request: HttpRequest, queues: list[PausedQueue]) -> bool:
    """Return whether a pause is not the one that the overview showed. The list sends no time."""
    shown = request.POST.get("paused_at")
    return shown is not None and any(queue.paused_at.isoformat() != shown for queue in queues)


@admin.register(PausedQueue)
class PausedQueueAdmin(ReadOnlyAdmin):
    """Shows which queues are paused, and why."""

    list_display = [*_FORM_FIELDS, _paused_at]
    ordering = ["queue_name"]
    filters = frozenset({"queue_name"})
    actions = [resume_selected]

    def has_pause_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may pause queues and resume them."""
        return may_pause_queues(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the user may view paused queues, or resume them."""
        return may_pause_queues(request) or super().has_view_permission(request, obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may pause queues."""
        return may_pause_queues(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        """Return False: the action "Resume" ends a pause, so that it is logged."""
        return False

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Return the field of a form. The name of a queue keeps the spaces at both of its ends."""
        if db_field.name == "queue_name":
            kwargs["strip"] = False
            kwargs["validators"] = [_check_name]
            kwargs["error_messages"] = {
                "unique": _("This queue is paused already. Resume it first.")
            }
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def get_fields(self, request: HttpRequest, obj: PausedQueue | None = None) -> Any:  # noqa: ARG002
        """Return the fields of the form, and for a paused queue also the time of the pause."""
        return _FORM_FIELDS if obj is None else [*_FORM_FIELDS, _paused_at]

    def save_model(self, request: Any, obj: PausedQueue, form: Any, change: Any) -> None:  # noqa: ARG002
        """Pause the queue."""
        pause_queue(obj.queue_name, reason=obj.reason, paused_by=request.user.get_username())


def _check_name(name: str) -> None:
    try:
        validate_queue_name(name)
    except InvalidOption as error:
        raise ValidationError(str(error)) from error
