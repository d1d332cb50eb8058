"""The look-ahead: how long before its time a job is claimed."""

from datetime import timedelta

MARGIN = timedelta(milliseconds=40)  # because a busy machine may delay the claim
MAX_LOOKAHEAD = timedelta(seconds=2)
# The weights of the retransmission timer of TCP (RFC 6298): of the latest claim in the smoothed
# duration, of its error in the mean deviation, and of the deviation in the result.
SMOOTHING, DEVIATION_WEIGHT, DEVIATIONS = 1 / 8, 1 / 4, 4


class Lookahead:
    """Adapts the look-ahead to the duration of claims.

    It is longer if the server is far away, or slow under load.
    """

    def __init__(self) -> None:
        self._claim_seconds: float | None = None  # smoothed
        self._deviation_seconds = 0.0
        self._round_trip_seconds = self._min_claim_seconds = 0.0

    def record_round_trip(self, round_trip: timedelta, claim_round_trips: int) -> None:
        """Take into account that a claim takes at least `claim_round_trips` round trips."""
        self._round_trip_seconds = round_trip.total_seconds()
        self._min_claim_seconds = claim_round_trips * self._round_trip_seconds

    def record_claim(self, seconds: float) -> None:
        """Take into account the duration of a claim that found a job."""
        if self._claim_seconds is None:
            self._claim_seconds, self._deviation_seconds = seconds, seconds / 2
            return
        error = seconds - self._claim_seconds
        self._deviation_seconds += DEVIATION_WEIGHT * (abs(error) - self._deviation_seconds)
        self._claim_seconds += SMOOTHING * error

    @property
    def length(self) -> timedelta:
        """How long before its time a job is claimed."""
        return min(MARGIN + self.supply_time, MAX_LOOKAHEAD)

    @property
    def supply_time(self) -> timedelta:
        """How long it usually takes, at most, to claim a job that the last claim just missed."""
        # The rest of that claim, a query for the next due job, and another claim.
        expected = (self._claim_seconds or 0.0) + DEVIATIONS * self._deviation_seconds
        claim = max(expected, self._min_claim_seconds)
        seconds = 2 * (claim + self._round_trip_seconds)
        return timedelta(seconds=min(seconds, MAX_LOOKAHEAD.total_seconds()))
