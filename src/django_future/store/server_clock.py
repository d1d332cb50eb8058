"""The clock of a database server, read now and then and reckoned on in between."""

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

from django.db import DatabaseError, InterfaceError

READING_LASTS = 60.0  # seconds, in which no two clocks drift apart by more than a few milliseconds
READINGS = 3
QUICK = 0.001  # seconds; a reading that took no longer is not improved by another


class ServerClock:
    """Tell the server's time without asking it each time, and never ahead of it."""

    def __init__(self, ask: Callable[[], datetime]) -> None:
        self._ask = ask
        self._reading: tuple[datetime, float] | None = None  # replaced as one: threads share it

    def now(self) -> datetime:
        """Return the present instant: the server's, or less by as long as the reading took."""
        reading = self._reading or self.synchronise()
        since = time.monotonic() - reading[1]
        if since > READING_LASTS:
            # While the server is away the last reading is the best there is.
            with suppress(DatabaseError, InterfaceError):
                reading = self.synchronise()
                since = time.monotonic() - reading[1]
        return reading[0] + timedelta(seconds=since)

    def synchronise(self) -> tuple[datetime, float]:
        """Read the server's clock now, and once more if the answer was slow."""
        readings = []
        for _ in range(READINGS):
            asked_at = time.monotonic()
            server_time, read_at = self._ask(), time.monotonic()
            readings.append((read_at - asked_at, server_time, read_at))
            if read_at - asked_at < QUICK:
                break
        # The answer is a little old when it arrives. To take it for new errs on the safe side: no
        # job starts before its time.
        _, server_time, read_at = min(readings)
        self._reading = reading = (server_time, read_at)
        return reading
