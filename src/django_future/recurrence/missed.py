"""Which instants of a recurring job get a run after a downtime: its policy for missed runs."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice, takewhile
from typing import NamedTuple

from django.db.models import TextChoices
from django.utils.translation import pgettext_lazy

from django_future.recurrence.timing import TICK, Timing

# An instant is missed if its run is materialised later than this after it.
MISSED_AFTER = timedelta(seconds=60)
MAX_CAUGHT_UP = 1000  # missed runs of one recurring job that are made up for at a time


class Missed(TextChoices):
    """What happens to missed runs."""

    ONCE = "once", pgettext_lazy("missed runs", "one run, for the latest")
    SKIP = "skip", pgettext_lazy("missed runs", "skip them")
    ALL = "all", pgettext_lazy("missed runs", "run each of them")


class DueRuns(NamedTuple):
    """The instants that get a run, the first one first, and the number of those that do not.

    `next_at` is the next instant after them; None if there is none.
    """

    instants: list[datetime]
    missed: int
    next_at: datetime | None


def due_runs(
    timing: Timing,
    first_at: datetime,
    *,
    now: datetime,
    until: datetime,
    missed: str,
    window: timedelta | None = None,
) -> DueRuns:
    """Return which instants from `first_at` to `until` get a run now.

    `until` may be later than `now`, because runs are materialised before they are due. Missed
    instants that are older than `window` get no run.
    """
    until = max(now, until)
    next_at = next(timing.after(until), None)
    on_time_at = now - MISSED_AFTER
    oldest_at = first_at if window is None else max(first_at, now - window)
    if first_at >= on_time_at:
        return DueRuns(list(_between(timing, first_at, until)), 0, next_at)
    if missed == Missed.ONCE:
        latest = [*takewhile(lambda at: at >= oldest_at, islice(timing.before(now + TICK), 1))]
        ahead = _between(timing, now + TICK, until)
        return DueRuns([*latest, *ahead], timing.count(first_at, now) - len(latest), next_at)
    number = timing.count(first_at, on_time_at - TICK)
    caught_up: list[datetime] = []
    if missed == Missed.ALL:
        late = takewhile(lambda instant: instant >= oldest_at, timing.before(on_time_at))
        caught_up = [*islice(late, MAX_CAUGHT_UP)][::-1]
    on_time = _between(timing, on_time_at, until)
    return DueRuns([*caught_up, *on_time], number - len(caught_up), next_at)


def _between(timing: Timing, first: datetime, last: datetime) -> Iterator[datetime]:
    return takewhile(lambda instant: instant <= last, timing.since(first))
