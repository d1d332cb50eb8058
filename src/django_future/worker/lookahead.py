"""How long before its time a job is claimed."""

from datetime import timedelta

MARGIN = timedelta(milliseconds=40)  # for a machine that is busy with something else
MAX_LOOKAHEAD = timedelta(seconds=2)
# Of the latest claim in what is expected of the next, as in TCP's retransmission timer (RFC 6298).
SMOOTHING, DEVIATION_WEIGHT, DEVIATIONS = 1 / 8, 1 / 4, 4


class Lookahead:
    """Adapts to what claims take: it is longer where the server is far away, or slow under load."""

    def __init__(self) -> None:
        self._expected: float | None = None  # seconds that a claim takes
        self._deviation = 0.0
        self._round_trip = self._least = 0.0

    def note_distance(self, round_trip: timedelta, claim_round_trips: int) -> None:
        """Take into account that a claim takes at least so many round trips."""
        self._round_trip = round_trip.total_seconds()
        self._least = claim_round_trips * self._round_trip

    def note_claim(self, seconds: float) -> None:
        """Take into account what a claim took that found a job."""
        if self._expected is None:
            self._expected, self._deviation = seconds, seconds / 2
            return
        error = seconds - self._expected
        self._deviation += DEVIATION_WEIGHT * (abs(error) - self._deviation)
        self._expected += SMOOTHING * error

    @property
    def length(self) -> timedelta:
        """How long before its time a job is claimed."""
        return min(MARGIN + self.supply, MAX_LOOKAHEAD)

    @property
    def supply(self) -> timedelta:
        """How long it takes at most, as a rule, to get a job that the last claim just missed."""
        # The rest of that claim, a look at when the next job is due, and another claim.
        claim = max((self._expected or 0.0) + DEVIATIONS * self._deviation, self._least)
        return timedelta(seconds=min(2 * (claim + self._round_trip), MAX_LOOKAHEAD.total_seconds()))
