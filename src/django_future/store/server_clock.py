"""The clock of a database server, read once a minute and extrapolated in between."""

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

from django.db import DatabaseError, InterfaceError

READING_LIFETIME_SECONDS = 60.0  # two clocks drift by only a few milliseconds in this time
MAX_READINGS = 3
FAST_READING_SECONDS = 0.001  # if a reading took no longer, another one cannot improve it


class ServerClock:
    """The server's time without a query for each use, and never ahead of the server."""

    def __init__(self, read_server_time: Callable[[], datetime]) -> None:
        self._read_server_time = read_server_time
        # One tuple, which threads share and replace as a whole.
        self._reading: tuple[datetime, float] | None = None
        self.round_trip = timedelta()

    def now(self) -> datetime:
        """Return the server's time, behind it by the time that an answer takes to arrive.

        This delay cannot be measured. Half of a round trip is too much if requests are slower than
        answers.
        """
        reading = self._reading or self.synchronise()
        age = time.monotonic() - reading[1]
        if age > READING_LIFETIME_SECONDS:
            # If the server cannot be reached, the last reading remains in use.
            with suppress(DatabaseError, InterfaceError):
                reading = self.synchronise()
                age = time.monotonic() - reading[1]
        return reading[0] + timedelta(seconds=age)

    def synchronise(self) -> tuple[datetime, float]:
        """Read the server's clock now, up to three times if the answers are slow."""
        best: tuple[datetime, float] | None = None
        round_trip = timedelta.max
        for _ in range(MAX_READINGS):
            sent_at = time.monotonic()
            server_time, read_at = self._read_server_time(), time.monotonic()
            duration = timedelta(seconds=read_at - sent_at)
            round_trip = min(round_trip, duration)
            # The server's clock showed this time before the answer arrived, so no reading is ahead
            # of the server. The reading that is latest, at the same local time, is the most exact.
            if best is None or server_time - best[0] > timedelta(seconds=read_at - best[1]):
                best = server_time, read_at
            if duration.total_seconds() < FAST_READING_SECONDS:
                break
        assert best is not None  # noqa: S101 - there is at least one reading
        self.round_trip = round_trip
        self._reading = best
        return best
