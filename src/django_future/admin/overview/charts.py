"""The charts of the overview: bars in SVG, with the same numbers as a table."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import formats
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from django_future import clock
from django_future.admin.overview.snapshot import DAY, DAY_STEP, HOUR, HOUR_STEP, Snapshot
from django_future.admin.times import length
from django_future.store.current import MAX_PRIORITIES
from django_future.store.statistics import Step, Totals

HEIGHT, BAR_WIDTH, GAP = 60, 20, 4  # in units of the picture
MIN_HEIGHT = 2  # of a bar that is not empty


@dataclass(frozen=True)
class Bar:
    """One part of a column: its place in the picture, and `kind`, which decides its colour."""

    kind: str
    x: float
    y: float
    height: float


@dataclass(frozen=True)
class Chart:
    """Columns of numbers over time."""

    id: str
    title: str
    summary: str
    header: list[str]
    rows: list[list[str]]
    bars: list[Bar]
    first: str
    last: str
    width: int
    height: int = HEIGHT
    bar_width: int = BAR_WIDTH


def ended_charts(state: Snapshot) -> list[Chart]:
    """Return the charts of the jobs that ended in the last hour and the last day."""
    hour = _ended("hour", _("Ended in the last hour"), state, HOUR, HOUR_STEP)
    return [hour, _ended("day", _("Ended in the last day"), state, DAY, DAY_STEP)]


def coming_charts(state: Snapshot) -> list[Chart]:
    """Return the charts of the jobs and the recurring jobs of the next hour and the next day."""
    hour = _coming("next-hour", _("Due in the next hour"), state, HOUR, HOUR_STEP)
    return [hour, _coming("next-day", _("Due in the next day"), state, DAY, DAY_STEP)]


def summary(totals: Totals) -> str:
    """Return the numbers of a period in words."""
    ended = sum(totals[:4])
    parts = [
        ngettext("%(number)s job ended", "%(number)s jobs ended", ended)
        % {"number": formats.number_format(ended)},
        _("%(number)s failed") % {"number": formats.number_format(totals.failed)},
    ]
    if totals.expired:
        parts.append(_("%(number)s expired") % {"number": formats.number_format(totals.expired)})
    if totals.cancelled:
        cancelled = formats.number_format(totals.cancelled)
        parts.append(_("%(number)s cancelled") % {"number": cancelled})
    if totals.late_p50 is not None and totals.late_p95 is not None:
        late = {"p50": length(totals.late_p50), "p95": length(totals.late_p95)}
        parts.append(_("lateness: half up to %(p50)s, 95 %% up to %(p95)s") % late)
    return ", ".join(parts)


def _ended(name: str, title: str, state: Snapshot, period: timedelta, step: timedelta) -> Chart:
    steps = state.series(period, step)
    columns = [_parts(one) for one in steps]
    header = [_("From"), _("Complete"), _("Failed"), _("Other"), _("Lateness (95 %)")]
    rows = [
        [
            _clock(one.starts_at),
            *(formats.number_format(number) for number in _parts(one).values()),
            "" if one.late_p95 is None else length(one.late_p95),
        ]
        for one in steps
    ]
    starts = [one.starts_at for one in steps]
    return _chart(name, title, summary(state.totals(period)), header, rows, columns, starts)


def _parts(step: Step) -> dict[str, int]:
    other = step.expired + step.cancelled
    return {"complete": step.complete, "failed": step.failed, "other": other}


def _coming(name: str, title: str, state: Snapshot, period: timedelta, step: timedelta) -> Chart:
    jobs = [job.scheduled_at for job in state.jobs.next]  # the earliest first
    recurring = sorted(
        clock.from_row(one.next_run_at) for one in state.recurring if one.next_run_at is not None
    )
    starts = [state.at + number * step for number in range(period // step)]
    columns = [
        {"job": _between(jobs, starts_at, step), "recurring": _between(recurring, starts_at, step)}
        for starts_at in starts
    ]
    counts = {
        "jobs": formats.number_format(_between(jobs, state.at, period)),
        "recurring": formats.number_format(_between(recurring, state.at, period)),
    }
    text = _("Jobs: %(jobs)s, next runs of recurring jobs: %(recurring)s") % counts
    until = state.jobs.next_until
    if until is not None and until < state.at + period:
        text = _("%(text)s; later ones than %(time)s are not counted") % {
            "text": text, "time": _clock(until),
        }  # fmt: skip
    if state.jobs.is_cut:
        text = _("%(text)s; only the %(number)s highest priorities are counted") % {
            "text": text, "number": MAX_PRIORITIES,
        }  # fmt: skip
    header = [_("From"), _("Jobs"), _("Next runs of recurring jobs")]
    rows = [
        [_clock(starts_at), *(formats.number_format(number) for number in column.values())]
        for starts_at, column in zip(starts, columns, strict=True)
    ]
    return _chart(name, title, text, header, rows, columns, starts)


def _between(times: Sequence[datetime], since: datetime, period: timedelta) -> int:
    return bisect_left(times, since + period) - bisect_left(times, since)


def _chart(
    name: str,
    title: str,
    text: str,
    header: list[str],
    rows: list[list[str]],
    columns: Sequence[dict[str, int]],
    starts: Sequence[datetime],
) -> Chart:
    highest = max((sum(column.values()) for column in columns), default=0)
    bars = [bar for index, one in enumerate(columns) for bar in _column(index, one, highest)]
    return Chart(
        f"future-{name}",
        title,
        text,
        header,
        rows,
        bars,
        _clock(starts[0]),
        _clock(starts[-1]),
        len(columns) * (BAR_WIDTH + GAP),
    )


def _column(index: int, parts: dict[str, int], highest: int) -> list[Bar]:
    """Return the parts of one column, the first at the bottom."""
    bars, bottom = [], float(HEIGHT)
    for kind, number in parts.items():
        if number:
            height = max(round(number / highest * HEIGHT, 1), MIN_HEIGHT)
            bottom = max(bottom - height, 0.0)
            bars.append(Bar(kind, index * (BAR_WIDTH + GAP), bottom, height))
    return bars


def _clock(at: datetime) -> Any:
    return f"{at.astimezone(clock.current_zone()):%H:%M}"
