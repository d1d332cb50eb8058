"""`JobInline`, which shows the jobs of an object on the page of the object in any admin."""

from typing import Any

from django import forms
from django.contrib.contenttypes.admin import GenericInlineModelAdmin
from django.db.models import Model
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext, gettext_lazy

from django_future import clock
from django_future.admin import columns, display, times
from django_future.admin.addresses import address
from django_future.content_objects import content_type_of
from django_future.databases import jobs_database
from django_future.models import ScheduledJob
from django_future.store.unreadable import escaped_texts

MAX_SHOWN = 10
_SHOWN = (
    "callable_name", "status", "scheduled_at", "started_at", "finished_at", "created_at",
)  # fmt: skip


class JobsFormSet(forms.BaseFormSet):  # type: ignore[type-arg]
    """The jobs of an object, without forms: it reads nothing from a request, and saves nothing."""

    form, extra, max_num, absolute_max, min_num = forms.Form, 0, 0, 0, 0
    can_order = can_delete = can_delete_extra = validate_max = validate_min = edit_only = False
    renderer = None
    new_objects: tuple[Model, ...] = ()
    changed_objects: tuple[Model, ...] = ()
    deleted_objects: tuple[Model, ...] = ()

    def __init__(self, *_: Any, instance: Model, prefix: str | None = None, **__: Any) -> None:
        super().__init__(prefix=prefix)
        self.instance = instance

    @classmethod
    def get_default_prefix(cls) -> str:
        """Return the prefix, which no form has."""
        return "jobs_of_object"

    def get_queryset(self) -> list[Model]:
        """Return the rows of the forms: none."""
        return []

    def is_valid(self) -> bool:
        """Return True: no value of the request belongs to it."""
        return True

    def save(self, *, commit: bool = True) -> list[Model]:  # noqa: ARG002
        """Save nothing."""
        return []


class JobInline(GenericInlineModelAdmin):
    """Shows the newest jobs of an object to users who may view jobs, and a link to schedule one.

    Saving the page of the object does not read or change the jobs.
    """

    model = ScheduledJob
    fieldsets = ((None, {"fields": ()}),)
    extra = max_num = 0
    can_delete = False
    template = "admin/django_future/jobs_of_object.html"
    verbose_name_plural = gettext_lazy("scheduled jobs")

    class Media:
        css = {"all": ["django_future/jobs_of_object.css"]}

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Return whether the user may view jobs, and the object is saved."""
        return obj is not None and super().has_view_permission(request, obj)

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002
        """Return False: a page of its own schedules a job."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002
        """Return False: jobs are not edited."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002
        """Return False: jobs are not deleted here."""
        return False

    def get_formset(self, request: HttpRequest, obj: Any = None, **_: Any) -> Any:
        """Return the formset without forms, and with the rows of the table."""
        inline = self

        class JobsOfObject(JobsFormSet):
            model = ScheduledJob

            def table(self) -> dict[str, Any]:
                rows = inline.rows(request, self.instance)
                has_more = len(rows) > MAX_SHOWN
                list_url = inline.list_url(self.instance) if has_more else ""
                return {"rows": rows[:MAX_SHOWN], "list_url": list_url}

            def add_url(self) -> str:
                return inline.add_url(request, self.instance)

            def add_label(self) -> str:
                return gettext("Schedule a job for this %(name)s") % {
                    "name": self.instance._meta.verbose_name
                }

        return JobsOfObject if obj is not None else JobsFormSet

    def rows(self, request: HttpRequest, content_object: Model) -> list[dict[str, Any]]:  # noqa: ARG002
        """Return what the table shows of the newest jobs of an object, and one more if there is."""
        alias, at = jobs_database(instance=content_object), clock.now()
        jobs = ScheduledJob.objects.using(alias).for_object(content_object)
        with escaped_texts(alias):
            newest = list(jobs.only(*_SHOWN).order_by("-pk")[: MAX_SHOWN + 1])
        return [self._row(job, at) for job in newest]

    def list_url(self, content_object: Model) -> str:
        """Return the address of the list of all jobs of this object; "" if there is none."""
        kind = content_type_of(content_object, jobs_database())  # the list shows this database
        same = {"content_type__id__exact": kind.pk, "object_id__exact": str(content_object.pk)}
        return self._address("changelist", **same)

    def add_url(self, request: HttpRequest, content_object: Model) -> str:
        """Return the address of the form that schedules a job for the object; "" if not allowed."""
        is_registered = self.admin_site.is_registered(ScheduledJob)
        if not is_registered or isinstance(content_object.pk, tuple):
            return ""
        if not self.admin_site.get_model_admin(ScheduledJob).has_add_permission(request):
            return ""
        bound = {"content_type": content_object._meta.label_lower, "object_id": content_object.pk}
        return self._address("add", **bound)

    def _row(self, job: ScheduledJob, at: Any) -> dict[str, Any]:
        # The admin of jobs shows those of one database.
        is_shown = job._state.db == jobs_database()
        url = self._address("change", job.pk) if is_shown else ""
        number = str(job.pk)
        return {
            "number": format_html('<a href="{}">{}</a>', url, number) if url else number,
            "callable": display.dotted(job.callable_name),
            "status": display.status(job.status),
            "when": times.relative(job.scheduled_at, at),
            "took": columns.duration(job),
        }

    def _address(self, page: str, *arguments: Any, **query: Any) -> str:
        if not self.admin_site.is_registered(ScheduledJob):
            return ""
        name = f"django_future_scheduledjob_{page}"
        return address(self.admin_site, name, *arguments, **query)
