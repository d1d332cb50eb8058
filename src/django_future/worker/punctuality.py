"""Whether a worker may rescue the jobs of workers whose heartbeat is late."""

import math
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from django_future.conf import config

MAX_BEAT_INTERVAL = 0.75  # heartbeats between two beats; the usual interval is half of one


class Punctuality:
    """Checks that the beats of this worker are on time, because only then it may rescue.

    If the database stalls, all its workers are late at the same time. The first one that reaches it
    again would find all others lost. The same happens if the clock of the database jumps. So after
    a late beat, and after its start, a worker gives the others the time to write a beat.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._latest: tuple[float, datetime] | None = None
        self._may_rescue_at = math.inf

    def record_beat(self, seen_at: datetime) -> None:
        """Record a beat that was just written, with its time `seen_at` by the database's clock."""
        now = self._monotonic()
        if not self._is_on_time(now, seen_at):
            # All other workers beat before this time, and the second beat from now is after it.
            self._may_rescue_at = now + MAX_BEAT_INTERVAL * config().HEARTBEAT.total_seconds()
        self._latest = now, seen_at

    def may_rescue(self) -> bool:
        """Return whether the beats have been on time long enough."""
        now = self._monotonic()
        return self._is_on_time(now) and now >= self._may_rescue_at

    def _is_on_time(self, now: float, seen_at: datetime | None = None) -> bool:
        if self._latest is None:
            return False
        at, latest_seen_at = self._latest
        max_interval = MAX_BEAT_INTERVAL * config().HEARTBEAT
        by_database = timedelta() if seen_at is None else seen_at - latest_seen_at
        is_on_time_by_database = timedelta() <= by_database <= max_interval
        return now - at <= max_interval.total_seconds() and is_on_time_by_database
