"""Other jobs, and the pages that list them."""

from typing import Any, NamedTuple

from django.contrib.admin import AdminSite
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext as _

from django_future import clock
from django_future.admin import display, times
from django_future.admin.addresses import address
from django_future.models import RecurringJob, ScheduledJob
from django_future.status import Status

MAX_LISTED = 5
MAX_READ = 100  # jobs of the object, from which the latest are listed


class Other(NamedTuple):
    """Another job of the object."""

    url: str
    number: int
    name: str
    status: str
    when: str


class Link(NamedTuple):
    """A page that lists jobs."""

    label: str
    url: str


def others(job: ScheduledJob, jobs: QuerySet[Any], site: AdminSite) -> list[Other]:
    """Return the latest of `jobs` that are bound to the object of `job`, without this one."""
    if job.object_id is None:
        return []
    # In the order of the index. An order by id could make the server read all jobs by their ids.
    rows = jobs.order_by().filter(
        content_type_id=job.content_type_id,
        object_id=job.object_id,
        object_database=job.object_database,
    )
    columns = ("callable_name", "status", "scheduled_at", "finished_at")
    found = [row for row in rows.only(*columns)[:MAX_READ] if row.pk != job.pk]
    latest = sorted(found, key=lambda row: -row.pk)[:MAX_LISTED]
    return [_other(row, site) for row in latest]


def links(job: ScheduledJob, site: AdminSite) -> list[Link]:
    """Return links to the lists of jobs that have something in common with this one."""
    found: list[tuple[str, dict[str, Any]]] = [
        (_("All jobs of this handler"), {"callable_name": job.callable_name})
    ]
    if job.object_id is not None:
        same = {"content_type__id__exact": job.content_type_id, "object_id__exact": job.object_id}
        found.append((_("All jobs of this object"), same))
    if job.status == Status.FAILED and job.error_kind:
        same_error = {
            "status__exact": job.status,
            "callable_name": job.callable_name,
            "error_kind__exact": job.error_kind,
        }
        found.append((_("Other failures with this error"), same_error))
    jobs = "django_future_scheduledjob_changelist"
    pages = [Link(label, address(site, jobs, **query)) for label, query in found]
    if job.status == Status.FAILED:
        pages.append(Link(_("All failures"), address(site, "django_future_failures")))
    return [page for page in pages if page.url]


def recurring_link(job: Any, request: HttpRequest, site: AdminSite) -> str:
    """Return a link to the recurring job of a run, or only its name if the user may not view it."""
    name = getattr(job, "recurring_name", None)
    if name is None:
        return _("%(number)s (deleted)") % {"number": job.recurring_id}
    is_registered = site.is_registered(RecurringJob)
    if not is_registered or not site.get_model_admin(RecurringJob).has_view_permission(request):
        return str(name)
    url = address(site, "django_future_recurringjob_change", job.recurring_id)
    return format_html('<a href="{}">{}</a>', url, name)


def _other(row: ScheduledJob, site: AdminSite) -> Other:
    url = address(site, "django_future_scheduledjob_change", row.pk)
    status = display.status(row.status)
    at = row.finished_at or row.scheduled_at
    when: Any = times.relative(at, clock.now())
    return Other(url, row.pk, row.callable_name.rpartition(".")[2], status, when)
