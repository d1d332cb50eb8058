"""The look-ahead of claims, and the estimated clock of the server."""

from datetime import UTC, datetime, timedelta

import pytest

from django_future.store import server_clock
from django_future.store.mysql import MySQLStore
from django_future.store.server_clock import MAX_READINGS, ServerClock
from django_future.worker.lookahead import MARGIN, MAX_LOOKAHEAD, Lookahead

MILLISECOND = timedelta(milliseconds=1)
CLOCK_DIFFERENCE = timedelta(days=3)  # the server's clock minus the host's


class Server:
    """The clock of a distant server. `legs` are the seconds to the server and back.

    It also replaces the module `time`, so that the tests do not depend on the machine.
    """

    def __init__(self, *legs):
        self.legs = list(legs)
        self.readings = 0
        self.seconds = 1000.0

    def monotonic(self):
        return self.seconds

    def now(self):
        return datetime.fromtimestamp(self.seconds, UTC) + CLOCK_DIFFERENCE

    def read(self):
        there, back = self.legs[self.readings % len(self.legs)]
        self.readings += 1
        self.seconds += there
        reading = self.now()
        self.seconds += back
        return reading


@pytest.fixture
def make_server(monkeypatch):
    """Return a function that creates a server with the given legs, and a clock that reads it."""

    def make(*legs):
        server = Server(*legs)
        monkeypatch.setattr(server_clock, "time", server)
        return server, ServerClock(server.read)

    return make


class TestServerClock:
    @pytest.mark.parametrize("legs", [(0.03, 0.03), (0.05, 0.01), (0.01, 0.05), (0.06, 0)])
    def test_the_server_clock_is_never_ahead_of_the_server(self, make_server, legs):
        server, clock = make_server(legs)
        clock.synchronise()
        assert server.now() - clock.now() == timedelta(seconds=legs[1])

    def test_the_server_clock_uses_the_reading_with_the_shortest_way_back(self, make_server):
        server, clock = make_server((0.01, 0.04), (0.1, 0.001), (0.01, 0.05))
        clock.synchronise()
        server.seconds += 5
        assert server.now() - clock.now() == MILLISECOND

    def test_the_server_clock_follows_a_server_whose_clock_is_set_back(self, make_server):
        server, clock = make_server((0.05, 0.05))
        clock.synchronise()
        server.now = lambda: datetime.fromtimestamp(server.seconds, UTC)
        clock.synchronise()
        assert clock.now() <= server.now()

    @pytest.mark.parametrize(("legs", "readings"), [((0, 0.0005), 1), ((0.05, 0.05), MAX_READINGS)])
    def test_the_server_clock_reads_a_fast_server_once(self, make_server, legs, readings):
        server, clock = make_server(legs)
        clock.synchronise()
        assert server.readings == readings

    def test_the_server_clock_measures_the_shortest_round_trip(self, make_server):
        _, clock = make_server((0.02, 0.02), (0.01, 0.01), (0.05, 0.05))
        clock.synchronise()
        assert clock.round_trip == 20 * MILLISECOND


class TestLookahead:
    def test_the_look_ahead_is_little_more_than_its_margin_if_claims_are_fast(self):
        lookahead = Lookahead()
        assert lookahead.length == MARGIN
        for _ in range(20):
            lookahead.record_claim(0.001)
        assert MARGIN < lookahead.length < MARGIN + 5 * MILLISECOND

    def test_the_look_ahead_covers_two_claims_and_a_query(self):
        lookahead = Lookahead()
        lookahead.record_round_trip(timedelta(seconds=0.1), claim_round_trips=1)
        for _ in range(20):
            lookahead.record_claim(0.11)
        assert lookahead.length > timedelta(seconds=0.11 + 0.1 + 0.11)

    def test_the_look_ahead_estimates_claims_before_the_first(self):
        lookahead = Lookahead()
        lookahead.record_round_trip(timedelta(seconds=0.1), claim_round_trips=6)
        assert lookahead.length > timedelta(seconds=0.6)

    def test_the_prefetch_covers_slow_claims_under_load(self):
        lookahead = Lookahead()
        for _ in range(10):
            for seconds in (0.02, 0.03, 0.02, 0.09):
                lookahead.record_claim(seconds)
        assert lookahead.supply_time > timedelta(seconds=0.09)

    def test_polling_and_the_look_ahead_are_shorter_than_a_second(self):
        assert MySQLStore.poll_interval + Lookahead().length < timedelta(seconds=1)

    def test_the_look_ahead_recovers_after_one_slow_claim(self):
        lookahead = Lookahead()
        lookahead.record_claim(30)
        assert lookahead.length == MAX_LOOKAHEAD
        for _ in range(100):
            lookahead.record_claim(0.001)
        assert lookahead.length < MARGIN + 10 * MILLISECOND
