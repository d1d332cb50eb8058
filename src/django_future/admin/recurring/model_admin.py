"""The list and the form of recurring jobs."""

from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.utils import flatten_fieldsets
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from django_future.admin.changelist import CappedPaginator
from django_future.admin.read_only import ReadOnlyAdmin
from django_future.admin.recurring import display as recurring_display
from django_future.admin.recurring import line, pages, preview
from django_future.admin.recurring.actions import (
    delete_selected,
    is_declared,
    resume_selected,
    trigger_selected,
)
from django_future.admin.recurring.display import READ_ONLY
from django_future.admin.recurring.form import RecurringJobForm, fixed_fields
from django_future.admin.recurring.latest_runs import latest_runs
from django_future.admin.recurring.pause import pause_selected
from django_future.admin.recurring.policies import RADIO_FIELDS, explained_choices
from django_future.admin.recurring.run_table import table_of
from django_future.models import RecurringJob
from django_future.scheduling.recurring import write

_CALL = ["name", "callable_name", "args", "kwargs"]
_TIMES = ["cron", "every", "timezone", "starts_at", "ends_at", "max_runs", "jitter"]
_LATE_RUNS = ["missed", "catch_up_window", "overlap"]
_RUN = ["queue_name", "priority", "expires"]
_EDITED = frozenset({*_CALL, *_TIMES, *_LATE_RUNS, *_RUN})


class StateFilter(admin.SimpleListFilter):
    """Filters the list by the state of recurring jobs."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:  # noqa: ARG002
        """Return the states, each with its label."""
        return [
            ("active", _("active")),
            ("paused", _("paused")),
            ("error", _("with an error")),
            ("waiting", _("with a waiting run")),
            ("ended", _("ended")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        """Return the rows in the selected state."""
        match self.value():
            case "active":
                return queryset.filter(next_run_at__isnull=False, error="")
            case "paused":
                return queryset.filter(paused_at__isnull=False)
            case "error":
                return queryset.exclude(error="")
            case "waiting":
                return queryset.filter(queued_at__isnull=False)
            case "ended":
                return queryset.filter(next_run_at=None, paused_at=None, queued_at=None, error="")
        return queryset


class RecurringList(ChangeList):
    """The list of recurring jobs, without their arguments and options, which it does not show."""

    def get_queryset(
        self, request: HttpRequest, exclude_parameters: list[str | None] | None = None
    ) -> QuerySet[Any]:
        """Leave out the columns that may be large."""
        rows: QuerySet[Any] = super().get_queryset(request, exclude_parameters)
        return rows.defer("args", "kwargs", "options")

    def get_results(self, request: HttpRequest) -> None:
        """Read the latest runs of all rows at once, and where the user may view jobs."""
        super().get_results(request)
        rows: list[Any] = list(self.result_list)
        found = latest_runs(rows)
        jobs_url = recurring_display.jobs_url(request, self.model_admin.admin_site)
        for row in rows:
            row.jobs_url = jobs_url
            row.latest_runs = found.get(row.pk, [])
        self.result_list = rows


@admin.register(RecurringJob)
class RecurringJobAdmin(ReadOnlyAdmin):
    """Creates, changes, pauses and triggers recurring jobs. The code changes declared ones."""

    form = RecurringJobForm

    class Media:
        css: ClassVar = {"all": ["django_future/admin.css", "django_future/recurring.css"]}

    list_display = [
        "name", line.rhythm, line.next_run, line.last_run, "counts",
    ]  # fmt: skip
    list_filter = [StateFilter, "is_declared"]
    filters = frozenset({"name", "is_declared", StateFilter.parameter_name})
    list_per_page = 50
    ordering = ["name"]
    sortable_by = ["name", line.next_run]  # type: ignore[list-item]
    search_fields = ["name__icontains", "callable_name__icontains"]
    search_help_text = _("A part of the name or of the handler.")
    show_facets = admin.ShowFacets.NEVER
    show_full_result_count = False
    paginator = CappedPaginator
    actions = [pause_selected, resume_selected, trigger_selected, delete_selected]
    radio_fields = RADIO_FIELDS

    def get_urls(self) -> list[Any]:
        """Return the URLs of the admin, and those of this package."""
        return [*pages.urls(self), *super().get_urls()]

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Any:
        """Return the row with this id, which knows where the user may view jobs."""
        row = super().get_object(request, object_id, from_field)
        if row is not None:
            row.jobs_url = recurring_display.jobs_url(request, self.admin_site)
        return row

    def get_form(
        self, request: HttpRequest, obj: RecurringJob | None = None, *args: Any, **kwargs: Any
    ) -> Any:
        """Return a form that saves nothing if the user only wants the preview."""
        if preview.BUTTON in request.POST:
            kwargs["form"] = preview.PreviewForm
        return super().get_form(request, obj, *args, **kwargs)

    def formfield_for_choice_field(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        """Explain each choice of a policy."""
        if choices := explained_choices(db_field.name):
            kwargs["choices"] = choices
        return super().formfield_for_choice_field(db_field, request, **kwargs)

    def render_change_form(self, request: Any, context: Any, *args: Any, **kwargs: Any) -> Any:
        """Show the preview, the latest runs, and the buttons that the user may press."""
        context["may_operate_recurring"] = self.has_operate_permission(request)
        form, row = context["adminform"].form, context["original"]
        context.update(preview.page_context(form, row, self.admin_site))
        if row is not None:
            context["runs"] = table_of(row, request, self.admin_site)
        return super().render_change_form(request, context, *args, **kwargs)

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may pause, resume, trigger and backfill."""
        may_change = super(ReadOnlyAdmin, self).has_change_permission(request)
        return may_change and self.has_view_permission(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may create recurring jobs, and so decide what runs."""
        return super(ReadOnlyAdmin, self).has_add_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: RecurringJob | None = None) -> bool:
        """Return whether the user may change recurring jobs. Only code changes declared ones."""
        is_allowed = super(ReadOnlyAdmin, self).has_change_permission(request, obj)
        return is_allowed and not (obj is not None and obj.is_declared)

    def has_delete_permission(self, request: HttpRequest, obj: RecurringJob | None = None) -> bool:
        """Return whether the user may delete recurring jobs. Declared ones would come back."""
        is_allowed = super().has_delete_permission(request, obj)
        return is_allowed and not (obj is not None and is_declared(obj))

    @admin.display(description=_("runs"))
    def run_count(self, recurring: RecurringJob) -> str:
        """Show the number of runs, as a link to their jobs."""
        return recurring_display.runs_link(recurring)

    @admin.display(description=_("runs"))
    def counts(self, recurring: RecurringJob) -> str:
        """Show the number of runs with their link, and of those that did not happen."""
        return line.counts(recurring, self.run_count(recurring))

    def get_changelist(self, request: HttpRequest, **_: Any) -> type[ChangeList]:  # noqa: ARG002
        """Return the list that reads no arguments."""
        return RecurringList

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Return the values of a new form: the time zone of the project."""
        initial = super().get_changeform_initial_data(request)
        return {"timezone": timezone.get_default_timezone_name(), **initial}

    def get_fieldsets(self, request: HttpRequest, obj: RecurringJob | None = None) -> Any:
        """Return the sections of the form, and for an existing row also its state."""
        if obj is None:
            fixed: set[str] = set()
        elif self.has_change_permission(request, obj):
            fixed = fixed_fields(obj)
        else:
            fixed = set(_EDITED)
        what, times, late_runs, run = (
            [READ_ONLY.get(name, name) if name in fixed else name for name in names]
            for names in (_CALL, _TIMES, _LATE_RUNS, _RUN)
        )
        sections = [
            (_("What"), {"fields": [*what, *_unedited(obj)]}),
            (_("When"), {"fields": times, "classes": ["future-times"]}),
            (
                _("Missed and overlapping runs"),
                {"fields": late_runs, "classes": ["future-policies"]},
            ),
            (_("Each run"), {"fields": run}),
        ]
        return sections if obj is None else [(_("State"), {"fields": _state(obj)}), *sections]

    def get_readonly_fields(self, request: HttpRequest, obj: RecurringJob | None = None) -> Any:
        """Return the fields that are shown and not edited."""
        shown = flatten_fieldsets(self.get_fieldsets(request, obj))
        names = _EDITED if obj is None else _EDITED - {"name"}
        return [field for field in shown if field not in names]

    def save_model(self, request: Any, obj: RecurringJob, form: Any, change: Any) -> None:  # noqa: ARG002
        """Write the row that the form has built."""
        write(form.wanted)


def _unedited(obj: RecurringJob | None) -> list[Any]:
    """Return the fields of a call that only code can set, if the row has them."""
    if obj is None:
        return []
    shown = [] if obj.object_id is None else [recurring_display.content_object]
    return shown if vars(obj)["options"] is None else [*shown, READ_ONLY["options"]]


def _state(obj: RecurringJob) -> list[Any]:
    """Return the fields for the state. Most rows are not paused, and have no error."""
    occasional = {
        "is_declared": "is_declared",
        "paused_at": (READ_ONLY["paused_at"], "paused_by", "paused_reason"),
        "queued_at": READ_ONLY["queued_at"],
        "error": READ_ONLY["error"],
    }
    return [
        (recurring_display.next_run_at, recurring_display.last_run_at),
        recurring_display.upcoming,
        ("run_count", "missed_runs", "skipped_runs"),
        *(field for name, field in occasional.items() if getattr(obj, name)),
    ]
