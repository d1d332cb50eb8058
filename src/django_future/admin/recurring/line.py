"""The columns of the list of recurring jobs. SQL may have written any of their values."""

from itertools import groupby
from operator import attrgetter
from typing import Any

from django.contrib.admin import display as labelled
from django.utils import formats
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from django_future import clock
from django_future.admin import display, times
from django_future.admin.recurring import display as recurring_display
from django_future.admin.recurring.latest_runs import Run
from django_future.models import RecurringJob
from django_future.status import Status

MAX_TEXT_LENGTH = 100  # characters of one cell


@labelled(description=gettext_lazy("schedule"))
def rhythm(recurring: RecurringJob) -> str:
    """Show the rhythm in words, and what the runs call."""
    call = recurring_display.call(recurring)
    return _with_second_line(recurring_display.rhythm(recurring), call)


@labelled(description=gettext_lazy("next run"), ordering="next_run_at")
def next_run(recurring: RecurringJob) -> str:
    """Show when it runs next, or why it does not."""
    if recurring.is_paused:
        return display.line(recurring_display.pause_in_words(recurring), MAX_TEXT_LENGTH)
    when = times.relative(recurring.next_run_at, clock.now())
    if recurring.error:
        text = _("error: %(error)s") % {"error": recurring.error}
        shown = display.line(text, MAX_TEXT_LENGTH)
        return format_html('<span class="future-problem">{}</span>', shown)
    if recurring.queued_at is not None:
        waits = _("a run waits for the last one")
        return waits if recurring.next_run_at is None else _with_second_line(when, waits)
    return _("ended") if recurring.next_run_at is None else when


@labelled(description=gettext_lazy("last run"))
def last_run(recurring: Any) -> str:
    """Show the outcome of the latest run, its time and its duration, and marks for the runs."""
    runs: list[Run] = recurring.latest_runs
    if not runs:  # none yet, or the job was deleted
        return times.relative(recurring.last_run_at, clock.now())
    latest = runs[0]
    when = times.relative(latest.finished_at or latest.started_at or latest.recurs_at, clock.now())
    if latest.started_at is not None and latest.finished_at is not None:
        duration = clock.from_row(latest.finished_at) - clock.from_row(latest.started_at)
        took = _("took %(length)s") % {"length": times.length(duration)}
        when = format_html("{}, {}", when, took)
    return format_html("{}{}", _with_second_line(outcome(latest), when), _marks(runs[::-1]))


def counts(recurring: RecurringJob, runs: str) -> str:
    """Show `runs`, which is their number, and how many were missed and skipped."""
    missed = ngettext("%(count)s missed", "%(count)s missed", recurring.missed_runs)
    skipped = ngettext("%(count)s skipped", "%(count)s skipped", recurring.skipped_runs)
    found = [(missed, recurring.missed_runs), (skipped, recurring.skipped_runs)]
    for text, count in found:
        if count:
            runs = _with_second_line(runs, text % {"count": formats.number_format(count)})
    return runs


def outcome(run: Run) -> str:
    """Return the status of a run, and whether it waits for another attempt."""
    is_retrying = run.status == Status.SCHEDULED and run.attempts
    return display.status(run.status, _("retrying") if is_retrying else "")


def _marks(runs: list[Run]) -> str:
    """Return a mark for the outcome of each run, with a label that has the outcomes in words."""
    outcomes, marks = [], []
    for status, same in groupby(runs, key=attrgetter("status")):
        found, word = [*same], Status.label_of(status)
        outcomes.append(f"{len(found)} {word}")
        marks += _marks_of(found, display.SYMBOLS.get(status, "?"), word)
    label = _("The latest runs, the oldest first: %(outcomes)s") % {"outcomes": ", ".join(outcomes)}
    shown = format_html_join("", "{}", ((mark,) for mark in marks))
    return format_html(
        '<span class="future-marks" role="img" aria-label="{}">{}</span>', label, shown
    )


def _marks_of(runs: list[Run], symbol: str, word: str) -> list[str]:
    if runs[0].status == Status.COMPLETE:  # most are, and without a title the page stays small
        return [symbol] * len(runs)
    zone = clock.current_zone()
    times = [clock.from_row(run.recurs_at or run.scheduled_at).astimezone(zone) for run in runs]
    days = {day: display.day(day) for day in {at.date() for at in times}}
    titles = [f"{days[at.date()]} {at:%H:%M:%S}: {word}" for at in times]
    mark = '<span class="future-problem" title="{}">{}</span>'
    return [format_html(mark, title, symbol) for title in titles]


def _with_second_line(first: str, second: str) -> str:
    return format_html('{}<div class="future-quiet">{}</div>', first, second)
