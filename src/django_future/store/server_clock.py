"""The clock of a database server, read now and then and reckoned on in between."""

import math
import time
from collections.abc import Callable
from datetime import datetime, timedelta

READING_LASTS = 10.0  # seconds, in which no two quartz clocks drift apart by a millisecond


class ServerClock:
    """Tell the server's time without asking it each time, and never ahead of it."""

    def __init__(self, ask: Callable[[], datetime]) -> None:
        self._ask = ask
        self._server_time = datetime.min  # noqa: DTZ901 - never told
        self._read_at = -math.inf

    def now(self) -> datetime:
        """Return the present instant: the server's, or up to one round trip less."""
        if time.monotonic() - self._read_at > READING_LASTS:
            self.synchronise()
        return self._server_time + timedelta(seconds=time.monotonic() - self._read_at)

    def synchronise(self) -> None:
        """Read the server's clock now."""
        # The answer is a little old when it arrives. To take it for new errs on the safe side: no
        # job starts before its time.
        self._server_time, self._read_at = self._ask(), time.monotonic()
