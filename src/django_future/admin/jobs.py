"""The admin of jobs."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from django_future.admin import bound_object, columns, display
from django_future.admin.actions import (
    cancel_running,
    cancel_selected,
    delete_selected,
    retry_selected,
    run_again,
    sign_selected,
)
from django_future.admin.attempts import failed_attempts
from django_future.admin.changelist import CappedPaginator, JobList
from django_future.admin.permissions import may_operate
from django_future.admin.queue_column import parked_notice, queue_column
from django_future.admin.read_only import ReadOnlyAdmin
from django_future.admin.recurring import display as recurring_display
from django_future.models import PausedQueue, ScheduledJob
from django_future.status import Status

MAX_NAMED = 100  # jobs on the page that confirms a deletion
MAX_ID_DIGITS = 18  # a number with more digits may be larger than any primary key

_column = partial(columns.column, ScheduledJob)
_number = _column("id", str)
_callable_name = _column("callable_name", display.dotted)
_scheduled_at = _column("scheduled_at", display.instant)
_recurs_at = _column("recurs_at", display.instant)
_ARGUMENTS = [columns.arguments("args"), columns.arguments("kwargs")]
_INSTANTS = (
    _scheduled_at, _column("expires_at", display.instant), _column("created_at", display.instant)
)  # fmt: skip
_OUTCOME = [
    columns.status,
    (
        _column("started_at", display.instant),
        _column("finished_at", display.instant),
        columns.duration,
    ),
    ("attempts", "max_attempts", "rescues", "worker"),
    _column("return_value", display.value),
    _column("error", display.text),
    failed_attempts,
]


@admin.register(ScheduledJob)
class ScheduledJobAdmin(ReadOnlyAdmin):
    """Shows jobs, and offers the actions on them. Users cannot add or edit jobs."""

    list_display = [
        _number,
        _callable_name,
        columns.status_and_progress,
        _scheduled_at,
        columns.call,
        columns.content_object,
        columns.duration,
        "attempts",
        "queue_name",
        "priority",
    ]
    list_display_links = [_number, _callable_name]
    list_filter = ["status"]
    filters = frozenset({
        "status", "queue_name", "callable_name", "worker", "object_id", "recurring__id",
    })  # fmt: skip
    list_select_related = ["current_progress"]
    search_fields = ["callable_name__startswith"]
    search_help_text = _("The id of a job, or the beginning of the name of its callable.")
    show_facets = admin.ShowFacets.NEVER
    show_full_result_count = False
    sortable_by = ()
    paginator = CappedPaginator
    actions = [
        cancel_selected,
        cancel_running,
        retry_selected,
        run_again,
        sign_selected,
        delete_selected,
    ]

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may cancel jobs, retry them and run them again."""
        return may_operate(request) and self.has_view_permission(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the user may delete jobs; this requires the permission to view them."""
        is_visible = self.has_view_permission(request, obj)
        return is_visible and super().has_delete_permission(request, obj)

    def has_sign_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may sign jobs, and so decide which code runs."""
        return bool(request.user.is_active and request.user.is_superuser)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        """Show the list, with the number of parked jobs above it."""
        context = {"subtitle": parked_notice(self.get_queryset(request))}
        return super().changelist_view(request, context | (extra_context or {}))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return all jobs, annotated with `is_paused`: whether the queue is paused."""
        paused = PausedQueue.objects.filter(queue_name=OuterRef("queue_name"))
        jobs: QuerySet[Any] = super().get_queryset(request).annotate(is_paused=Exists(paused))
        return jobs

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Return the columns; the one for the queue shows why a job waits."""
        shown = queue_column()
        return [
            shown if name == "queue_name" else name for name in super().get_list_display(request)
        ]

    def get_changelist(self, request: HttpRequest, **_: Any) -> type[ChangeList]:  # noqa: ARG002
        """Return the list that stays fast with a million rows."""
        return JobList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Search for a number by primary key only, because that is fast."""
        if search_term.isdecimal() and len(search_term) <= MAX_ID_DIGITS:
            return queryset.filter(pk=search_term), False
        return super().get_search_results(request, queryset, search_term)

    def get_fieldsets(self, request: HttpRequest, obj: ScheduledJob | None = None) -> Any:
        """Return the sections of the page of a job."""

        # Closures, because the admin does not pass the request to a method, and the links depend on
        # the permissions of the user.
        @admin.display(description=_("content object"))
        def content_object(job: ScheduledJob) -> str:
            return bound_object.link(job, request, self.admin_site)

        @admin.display(description=_("recurring job"))
        def recurring(job: ScheduledJob) -> str:
            return recurring_display.link(job, request, self.admin_site)

        recurrence: list[Any] = []
        if obj is not None and obj.recurring_id is not None:
            recurrence = [(recurring, _recurs_at) if obj.recurs_at else recurring]
        progress = [columns.progress, columns.log] if obj and columns.has_progress(obj) else []
        is_final = obj is None or obj.status in Status.final()
        waits = [] if is_final else [columns.why_it_waits]
        return [
            (_("What"), {"fields": [_number, _callable_name, content_object, *_ARGUMENTS]}),
            (_("When"), {"fields": [_INSTANTS, *recurrence, (queue_column(), "priority"), *waits]}),
            (_("Outcome"), {"fields": [*_OUTCOME, *progress]}),
        ]

    def get_deleted_objects(
        self, objs: Sequence[ScheduledJob] | QuerySet[ScheduledJob], request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        """Name the first jobs, and omit their attempts and progress, which are deleted too."""
        count = objs.count() if isinstance(objs, QuerySet) else len(objs)
        names = [f"{job.pk}: {job}" for job in objs[:MAX_NAMED]]
        if more := count - len(names):
            names.append(ngettext("%(count)s more", "%(count)s more", more) % {"count": more})
        allowed = self.has_delete_permission(request)
        refused = set() if allowed else {str(self.opts.verbose_name)}
        return names, {str(self.opts.verbose_name_plural): count}, refused, []
