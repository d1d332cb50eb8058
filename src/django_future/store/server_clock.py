"""The clock of a database server, read now and then and reckoned on in between."""

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

from django.db import DatabaseError, InterfaceError

READING_LIFETIME_SECONDS = (
    60.0  # seconds, in which no two clocks drift apart by more than a few milliseconds
)
READINGS = 3
FAST_READING_SECONDS = 0.001  # seconds; a reading that took no longer is not improved by another


class ServerClock:
    """Tell the server's time without asking it each time, and never ahead of it."""

    def __init__(self, ask: Callable[[], datetime]) -> None:
        self._ask = ask
        self._reading: tuple[datetime, float] | None = None  # replaced as one: threads share it
        self.round_trip = timedelta()

    def now(self) -> datetime:
        """Return the present instant: the server's, or less by as long as an answer is on its way.

        Nothing that was measured here can tell how long that is. Half of a round trip would be a
        guess, and too much where the way there is the slower one.
        """
        reading = self._reading or self.synchronise()
        since = time.monotonic() - reading[1]
        if since > READING_LIFETIME_SECONDS:
            # While the server is away the last reading is the best there is.
            with suppress(DatabaseError, InterfaceError):
                reading = self.synchronise()
                since = time.monotonic() - reading[1]
        return reading[0] + timedelta(seconds=since)

    def synchronise(self) -> tuple[datetime, float]:
        """Read the server's clock now, and some more times if the answer was slow."""
        best: tuple[datetime, float] | None = None
        round_trip = timedelta.max
        for _ in range(READINGS):
            asked_at = time.monotonic()
            server_time, read_at = self._ask(), time.monotonic()
            took = timedelta(seconds=read_at - asked_at)
            round_trip = min(round_trip, took)
            # The server's clock showed this before the answer arrived. So each reading is a time
            # that has come, and the latest of them, reckoned on to the same moment, is the nearest.
            if best is None or server_time - best[0] > timedelta(seconds=read_at - best[1]):
                best = server_time, read_at
            if took.total_seconds() < FAST_READING_SECONDS:
                break
        assert best is not None  # noqa: S101 - there is at least one reading
        self.round_trip = round_trip
        self._reading = best
        return best
