"""Whether a worker is fit to say of others that they are late."""

import math
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from django_future.conf import config

MAX_INTERVAL = 0.75  # heartbeats from one beat to the next; half of one is usual


class Punctuality:
    """Tells whether a worker may judge others, which it may not if it was late itself.

    When the database stalls, all its workers are late at once. The first that gets through would
    find all others lost. The same holds if the clock of the database jumps. So a worker that was
    late, or has just started, leaves the others a heartbeat to show that they live.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._latest: tuple[float, datetime] | None = None
        self._judges_at = math.inf

    def note(self, seen_at: datetime) -> None:
        """Note a beat that was just recorded, as of `seen_at` by the clock of the database."""
        now = self._monotonic()
        if not self._is_on_time(now, seen_at):
            # The second beat from now comes later than that, and all others come before.
            self._judges_at = now + MAX_INTERVAL * config().HEARTBEAT.total_seconds()
        self._latest = now, seen_at

    def may_judge(self) -> bool:
        """Tell whether the beats of this worker have been on time for a heartbeat."""
        now = self._monotonic()
        return self._is_on_time(now) and now >= self._judges_at

    def _is_on_time(self, now: float, seen_at: datetime | None = None) -> bool:
        if self._latest is None:
            return False
        at, latest_seen_at = self._latest
        longest = MAX_INTERVAL * config().HEARTBEAT
        by_database = timedelta() if seen_at is None else seen_at - latest_seen_at
        return now - at <= longest.total_seconds() and timedelta() <= by_database <= longest
