"""What the form of a recurring job would do: its rhythm in words, and its next instants."""

from datetime import datetime, tzinfo
from itertools import pairwise
from typing import Any, NamedTuple

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import formats
from django.utils.html import format_html
from django.utils.translation import gettext as _

from django_future import clock
from django_future.admin import display, times
from django_future.admin.recurring.form import RecurringJobForm
from django_future.exceptions import SchedulingError
from django_future.models import RecurringJob
from django_future.recurrence.timing import describe_duration, zone_of
from django_future.scheduling.recurring_columns import TIMING_COLUMNS, build_rhythm

BUTTON = "_preview"
FIELDS = ("cron", "every", "timezone", "starts_at", "ends_at", "max_runs", "jitter")
MAX_INSTANTS = 10
_FRAGMENT = "admin/django_future/recurringjob/preview_fragment.html"


class PreviewForm(RecurringJobForm):
    """Checks only the fields that decide the instants. Never valid, so that nothing is saved."""

    # Without an error, the unsaved row whose instants are shown.
    rhythm: RecurringJob | None = None

    # Without this, the plugin of mypy for Django never finishes the analysis of the class.
    class Meta(RecurringJobForm.Meta):
        pass

    def is_valid(self) -> bool:
        """Return False, after the fields were checked."""
        super().is_valid()
        return False

    def _post_clean(self) -> None:
        for name in self.errors.keys() - {*FIELDS}:
            del self.errors[name]
        if self.errors:
            return
        row: RecurringJob = self.instance
        try:
            rhythm = build_rhythm(row.name, **self._rhythm())
        except SchedulingError as error:
            self.add_error(self._field_of(error), str(error))
            return
        if all(vars(rhythm)[name] == vars(row)[name] for name in TIMING_COLUMNS):
            rhythm.anchor_at = row.anchor_at
        rhythm.runs = row.runs
        self.rhythm = rhythm


class Line(NamedTuple):
    """An instant in the zone of the schedule and in that of the user."""

    distance: str
    local: str
    yours: str
    changes: list[str]


class Problem(NamedTuple):
    """What is wrong with a field."""

    name: str
    label: str
    messages: Any


class Preview(NamedTuple):
    """What a form would do, or what is wrong with it."""

    description: str
    notes: list[str]
    zone: str
    your_zone: str
    lines: list[Line]
    problems: list[Problem]
    is_english: bool = False  # the description, in any language

    @property
    def has_clock_change(self) -> bool:
        """Whether a clock changes between two of the instants."""
        return any(line.changes for line in self.lines)


def preview_of(form: PreviewForm) -> Preview:
    """Return the preview of a form with the values of a request."""
    form.is_valid()
    if form.rhythm is None:
        return Preview("", [], "", "", [], _problems(form))
    row, zone, your_zone = form.rhythm, zone_of(form.rhythm.timezone), clock.current_zone()
    left = MAX_INSTANTS if row.max_runs is None else max(row.max_runs - row.runs, 0)
    instants = row.upcoming(min(left, MAX_INSTANTS))
    zones: list[tzinfo] = [zone] if str(zone) == str(your_zone) else [zone, your_zone]
    return Preview(
        row.describe(),
        _notes(row, len(instants)),
        str(zone),
        str(your_zone) if len(zones) > 1 else "",
        _lines(instants, zones),
        [],
        is_english=bool(row.cron),
    )


def page_context(form: Any, obj: RecurringJob | None, site: Any) -> dict[str, Any]:
    """Return what the page of a form shows; nothing if the form cannot change the rhythm."""
    if not {*FIELDS} <= form.fields.keys():
        return {}
    url = reverse("admin:django_future_recurringjob_preview", current_app=site.name)
    return {
        "preview_url": url if obj is None else f"{url}?id={obj.pk}",
        "preview_fields": " ".join(FIELDS),
        "preview": preview_of(form) if isinstance(form, PreviewForm) else None,
    }


def fragment(model_admin: Any, request: HttpRequest) -> HttpResponseBase:
    """Show the preview of the values in the query string."""
    row = None
    if "id" in request.GET:
        row = model_admin.get_object(request, request.GET["id"])
    may_change = model_admin.has_change_permission(request, row)
    if not may_change and (row is not None or not model_admin.has_add_permission(request)):
        raise PermissionDenied
    if row is None and "id" in request.GET:
        raise Http404
    given: Any = {"change": row is not None, "form": PreviewForm, "fields": FIELDS}
    form = model_admin.get_form(request, row, **given)(request.GET, instance=row)
    return TemplateResponse(request, _FRAGMENT, {"preview": preview_of(form)})


def _problems(form: PreviewForm) -> list[Problem]:
    return [
        Problem(name, str(form.fields[name].label) if name in form.fields else "", messages)
        for name, messages in form.errors.items()
    ]


def _notes(row: RecurringJob, found: int) -> list[str]:
    notes = []
    if row.jitter:
        text = _("Each run starts up to %(jitter)s after its instant.")
        notes.append(text % {"jitter": describe_duration(row.jitter)})
    if not found:
        notes.append(_("There is no run."))
    elif found < MAX_INSTANTS:
        notes.append(_("There are no more runs after these."))
    return notes


def _lines(instants: list[datetime], zones: list[tzinfo]) -> list[Line]:
    at = clock.now()
    changes = [[], *(_changes(pair, zones) for pair in pairwise(instants))]
    return [
        Line(
            times.words(instant - at), _shown(instant, zones[0]), _shown(instant, zones[-1]), found
        )
        for instant, found in zip(instants, changes, strict=False)
    ]


def _changes(pair: tuple[datetime, datetime], zones: list[tzinfo]) -> list[str]:
    """Return in words which clocks have changed between two instants."""
    text = _("The clocks in %(zone)s have changed from UTC%(before)s to UTC%(after)s.")
    found = []
    for zone in zones:
        before, after = (_offset(instant.astimezone(zone)) for instant in pair)
        if before != after:
            found.append(text % {"zone": zone, "before": before, "after": after})
    return found


def _offset(local: datetime) -> str:
    digits = f"{local:%z}"
    return f"{digits[:3]}:{digits[3:5]}"


def _shown(instant: datetime, zone: tzinfo) -> str:
    local = instant.astimezone(zone)
    day = f"{formats.date_format(local, 'D')} {display.day(local.date())}"
    shown = f"{day} {local:%H:%M:%S}".replace(" ", "\N{NO-BREAK SPACE}")
    return format_html('<time datetime="{}">{}</time>', local.isoformat(), shown)
