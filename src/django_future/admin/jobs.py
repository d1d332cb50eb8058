"""The admin of jobs."""

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.views.main import SEARCH_VAR, ChangeList
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from django_future import clock
from django_future.admin import bound_object, bulk, columns, display, failures, job_code, job_form
from django_future.admin.actions import (
    cancel_running,
    cancel_selected,
    delete_selected,
    retry_selected,
    run_again,
    run_selected_now,
    sign_selected,
)
from django_future.admin.changelist import (
    CappedPaginator,
    IdPaginator,
    JobList,
    has_own_index,
    requested_page,
)
from django_future.admin.job_list import filters, line, search, time_filters
from django_future.admin.job_list.id_order import newest_first
from django_future.admin.job_list.time_filters import order_of
from django_future.admin.job_page import page, values
from django_future.admin.job_page.related import recurring_link
from django_future.admin.overview import page as overview_page
from django_future.admin.permissions import may_operate
from django_future.admin.queue_column import parked_notice
from django_future.admin.read_only import ReadOnlyAdmin
from django_future.models import PausedQueue, ScheduledJob
from django_future.status import Status

MAX_NAMED = 100  # jobs on the page that confirms a deletion

_column = partial(columns.column, ScheduledJob)
_number = _column("id", str)
_callable_name = _column("callable_name", display.dotted)
_scheduled_at = _column("scheduled_at", display.instant)
_recurs_at = _column("recurs_at", display.instant)
_TASK = ("task_backend", _column("run_after", display.instant))
_INSTANTS = (
    _scheduled_at, _column("expires_at", display.instant), _column("created_at", display.instant)
)  # fmt: skip
_RUN = (
    _column("started_at", display.instant),
    _column("finished_at", display.instant),
    columns.duration,
)
_ATTEMPTS = ("attempts", "max_attempts", "rescues", "worker")


@admin.register(ScheduledJob)
class ScheduledJobAdmin(ReadOnlyAdmin):
    """Shows jobs, offers the actions on them, and schedules new ones. Users cannot edit jobs."""

    class Media:
        css: ClassVar = {"all": ["django_future/admin.css", "django_future/job_list.css"]}

    add_form_template = "admin/django_future/job_form/page.html"

    list_display = ["callable_name"]  # see get_list_display
    list_display_links = None
    list_per_page = 50
    list_filter = [
        time_filters.OrderFilter, filters.StatusFilter, time_filters.WaitsFilter,
        time_filters.WhenFilter, filters.HandlerFilter, filters.QueueFilter,
        filters.RecurringFilter,
    ]  # fmt: skip
    filters = frozenset({
        "status", "queue_name", "callable_name", "worker", "content_type__id", "object_id",
        "recurring__id", "order", "waits", "when", "recurring", *failures.FILTERS,
    })  # fmt: skip
    list_select_related = ["current_progress"]
    search_fields = ["callable_name"]  # shows the box; see get_search_results
    search_help_text = _(
        "The id of a job, a part of the name of its handler, its unique key, or its object, such "
        "as “shop.order 17”."
    )
    show_facets = admin.ShowFacets.NEVER
    show_full_result_count = False
    sortable_by = ()
    actions = [
        run_selected_now,
        cancel_selected,
        cancel_running,
        retry_selected,
        failures.deal_with_selected,
        run_again,
        sign_selected,
        delete_selected,
    ]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may schedule jobs; this requires the permission to view them."""
        may_add = super(ReadOnlyAdmin, self).has_add_permission(request)
        return may_add and self.has_view_permission(request)

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

    def add_view(self, request: HttpRequest, *_: Any, **__: Any) -> Any:
        """Schedule a job by a form."""
        return job_form.add_page(self, request)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        """Show the list, with the number of parked jobs above it unless it is a search."""
        is_search = bool(request.GET.get(SEARCH_VAR))
        context = {} if is_search else {"subtitle": parked_notice(self.get_queryset(request))}
        return super().changelist_view(request, context | (extra_context or {}))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return all jobs, annotated with `is_paused`: whether the queue is paused."""
        paused = PausedQueue.objects.filter(queue_name=OuterRef("queue_name"))
        jobs: QuerySet[Any] = super().get_queryset(request).annotate(is_paused=Exists(paused))
        return jobs

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Return the columns; those for the queue and the times show why a job waits."""
        return [*line.line(self, request, clock.now())]

    def get_paginator(self, request: HttpRequest, queryset: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the paginator of the list, which depends on the order of the jobs."""
        order = order_of(request, queryset.db)
        if order is None and has_own_index(queryset):
            return CappedPaginator(queryset, *args, **kwargs)
        start, length = requested_page(request, self)
        order = order or newest_first(queryset)
        return IdPaginator(queryset, *args, order=order, start=start, length=length, **kwargs)

    def get_changelist(self, request: HttpRequest, **_: Any) -> type[ChangeList]:  # noqa: ARG002
        """Return the list that stays fast with a million rows."""
        return JobList

    def get_search_results(
        self,
        request: HttpRequest,  # noqa: ARG002
        queryset: QuerySet[Any],
        search_term: str,
    ) -> tuple[QuerySet[Any], bool]:
        """Search by id, handler, object or unique key."""
        return (search.found(queryset, search_term) if search_term else queryset), False

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Any:
        """Return the job with what its page shows, in one query."""
        jobs = page.rows(self.get_queryset(request))
        return page.found(jobs, object_id) if from_field is None else None

    def get_urls(self) -> list[Any]:
        """Return the URLs, with those of the pages that Django does not have."""
        own = [
            *page.urls(self),
            *job_form.urls(self),
            *failures.urls(self),
            *bulk.urls(self),
            *overview_page.urls(self),
        ]
        return [*own, *super().get_urls()]

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> Any:
        """Add what the page of a job shows."""
        if kwargs.get("obj") is not None:
            context["job_page"] = page.context(self, request, kwargs["obj"])
        return super().render_change_form(request, context, *args, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: ScheduledJob | None = None) -> Any:
        """Return the sections of the page of a job."""

        # Closures, because the admin does not pass the request to a method, and the links depend on
        # the permissions of the user.
        @admin.display(description=_("content object"))
        def content_object(job: ScheduledJob) -> str:
            return bound_object.link(job, request, self.admin_site)

        @admin.display(description=_("recurring job"))
        def recurring(job: ScheduledJob) -> str:
            return recurring_link(job, request, self.admin_site)

        recurrence: list[Any] = []
        if obj is not None and obj.recurring_id is not None:
            recurrence = [(recurring, _recurs_at) if obj.recurs_at else recurring]
        own = [values.options] if getattr(obj, "stored_options", None) is not None else []
        task = [_TASK] if obj is not None and obj.task_backend is not None else []
        result = [values.return_value] if obj is None or obj.status == Status.COMPLETE else []
        is_new = obj is not None and obj.started_at is None and obj.finished_at is None
        run = [] if is_new else [_RUN]
        called = [_number, _callable_name, content_object, *recurrence, *task, *own]
        return [
            (_("What"), {"fields": called}),
            (_("When"), {"fields": [_INSTANTS, ("queue_name", "priority")]}),
            (_("Outcome"), {"fields": [*result, *run, _ATTEMPTS]}),
            (_("Code"), {"fields": [job_code.code]}),
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
