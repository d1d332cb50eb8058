"""The parsing of cron expressions, their instants in a time zone, and their descriptions."""

from bisect import bisect_left, bisect_right
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from itertools import islice, pairwise, takewhile
from zoneinfo import ZoneInfo, available_timezones

import pytest
from cronsim import CronSim
from hypothesis import example, given, settings
from hypothesis import strategies as st

from django_future.exceptions import InvalidTime
from django_future.recurrence import cron
from django_future.recurrence.cron import MAX_CRON_LENGTH, parse_cron

pytestmark = pytest.mark.only_on("sqlite", reason="no database is used, so one run is enough")

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = (
    timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days")
)

# Zone, expression, start, and the first instants after it: all in UTC, each day with its times.
INSTANTS = [
    # A fixed time in a gap runs at the end of the gap, and an interval only at real times.
    ("Europe/Berlin", "30 2 * * *", "2026-03-28 12:00", "2026-03-29 01:00, 2026-03-30 00:30"),
    ("Europe/Berlin", "0,30 2 * * *", "2026-03-28 12:00", "2026-03-29 01:00, 2026-03-30 00:00"),
    ("Europe/Berlin", "0 2,3 * * *", "2026-03-28 12:00", "2026-03-29 01:00, 2026-03-30 00:00"),
    ("Europe/Berlin", "30 1-3 * * *", "2026-03-29 00:00", "2026-03-29 00:30 01:00 01:30 23:30"),
    ("Europe/Berlin", "30 * * * *", "2026-03-29 00:00", "2026-03-29 00:30 01:30"),
    ("Europe/Berlin", "0 */2 * * *", "2026-03-28 22:00", "2026-03-28 23:00, 2026-03-29 02:00"),
    ("Europe/Berlin", "5/15 2 * * *", "2026-03-28 12:00", "2026-03-30 00:05 00:20"),
    # A fixed time that comes twice runs the first time, and an interval both times.
    ("Europe/Berlin", "30 2 * * *", "2026-10-24 12:00", "2026-10-25 00:30, 2026-10-26 01:30"),
    ("Europe/Berlin", "30 1-3 * * *", "2026-10-24 23:00",
     "2026-10-24 23:30, 2026-10-25 00:30 02:30"),
    ("Europe/Berlin", "*/30 * * * *", "2026-10-25 00:00", "2026-10-25 00:30 01:00 01:30 02:00"),
    ("Europe/Berlin", "5/30 2 * * *", "2026-10-24 12:00",
     "2026-10-25 00:05 00:35 01:05 01:35, 2026-10-26 01:05"),
    ("America/New_York", "30 2 * * *", "2026-03-08 00:00", "2026-03-08 07:00, 2026-03-09 06:30"),
    ("America/New_York", "30 1 * * *", "2025-11-02 05:00", "2025-11-02 05:30, 2025-11-03 06:30"),
    ("America/New_York", "30 1 * * *", "2025-11-02 06:15", "2025-11-03 06:30, 2025-11-04 06:30"),
    ("America/New_York", "0 9 * * mon-fri", "2026-03-06 12:00",
     "2026-03-06 14:00, 2026-03-09 13:00, 2026-03-10 13:00"),
    ("Australia/Lord_Howe", "15 2 * * *", "2025-10-04 12:00", "2025-10-04 15:30, 2025-10-05 15:15"),
    ("Australia/Lord_Howe", "*/30 5 * * *", "2025-10-04 12:00",
     "2025-10-04 18:00 18:30, 2025-10-05 18:00"),
    ("Australia/Lord_Howe", "45 1 * * *", "2026-04-04 12:00", "2026-04-04 14:45, 2026-04-05 15:15"),
    ("Australia/Lord_Howe", "*/15 1 * * *", "2026-04-04 12:00",
     "2026-04-04 14:00 14:15 14:30 14:45 15:00 15:15, 2026-04-05 14:30"),
    ("Pacific/Chatham", "0 3 * * *", "2025-09-27 00:00", "2025-09-27 14:00, 2025-09-28 13:15"),
    ("Pacific/Chatham", "0 3 * * *", "2026-04-04 00:00", "2026-04-04 13:15, 2026-04-05 14:15"),
    ("Pacific/Chatham", "*/15 3 * * *", "2026-04-04 00:00",
     "2026-04-04 13:15 13:30 13:45 14:15 14:30 14:45 15:00, 2026-04-05 14:15"),
    ("America/St_Johns", "30 2 * * *", "2025-03-09 00:00", "2025-03-09 05:30, 2025-03-10 05:00"),
    ("America/St_Johns", "15 1 * * *", "2025-11-02 00:00", "2025-11-02 03:45, 2025-11-03 04:45"),
    # The clock goes back over midnight.
    ("America/St_Johns", "0 0 * * *", "2010-11-07 00:00", "2010-11-07 02:30, 2010-11-08 03:30"),
    ("America/St_Johns", "30 23 * * *", "2010-11-06 12:00", "2010-11-07 02:00, 2010-11-08 03:00"),
    ("America/St_Johns", "15 */2 * * *", "2010-11-07 02:00", "2010-11-07 03:45 05:45"),
    ("America/St_Johns", "0 * * * *", "2010-11-07 02:00", "2010-11-07 02:30 03:30 04:30"),
    # The clock is back during Ramadan.
    ("Africa/Casablanca", "30 2 * * *", "2025-02-23 00:00", "2025-02-23 01:30, 2025-02-24 02:30"),
    ("Africa/Casablanca", "30 2 * * *", "2025-04-06 00:00", "2025-04-06 02:00, 2025-04-07 01:30"),
    # Midnight is in the gap, or comes twice.
    ("America/Santiago", "0 0 * * *", "2025-09-07 00:00", "2025-09-07 04:00, 2025-09-08 03:00"),
    ("America/Santiago", "30 23 * * *", "2025-04-05 12:00", "2025-04-06 02:30, 2025-04-07 03:30"),
    ("America/Santiago", "@hourly", "2025-04-06 01:30", "2025-04-06 02:00 03:00 04:00"),
    ("Asia/Beirut", "@daily", "2025-03-29 12:00", "2025-03-29 22:00, 2025-03-30 21:00"),
    ("Asia/Beirut", "5,35 0 * * *", "2025-03-29 12:00", "2025-03-29 22:00, 2025-03-30 21:05 21:35"),
    ("Asia/Beirut", "30 23 * * *", "2025-10-25 12:00", "2025-10-25 20:30, 2025-10-26 21:30"),
    ("Africa/Cairo", "0 0 * * fri", "2025-04-24 00:00", "2025-04-24 22:00, 2025-05-01 21:00"),
    ("Africa/Cairo", "30 23 * * *", "2025-10-30 12:00", "2025-10-30 20:30, 2025-10-31 21:30"),
    ("America/Havana", "0 0 * * *", "2025-03-09 00:00", "2025-03-09 05:00, 2025-03-10 04:00"),
    ("America/Havana", "0 0 * * *", "2025-11-02 00:00", "2025-11-02 04:00, 2025-11-03 05:00"),
    ("America/Havana", "*/30 0 * * *", "2025-11-02 00:00",
     "2025-11-02 04:00 04:30 05:00 05:30, 2025-11-03 05:00"),
    # A whole day is missing.
    ("Pacific/Apia", "0 12 * * *", "2011-12-29 12:00", "2011-12-29 22:00, 2011-12-30 10:00 22:00"),
    ("Pacific/Apia", "0 0 * * *", "2011-12-29 00:00",
     "2011-12-29 10:00, 2011-12-30 10:00, 2011-12-31 10:00"),
    ("Pacific/Apia", "0 0 30 12 *", "2011-12-01 00:00", "2011-12-30 10:00, 2012-12-29 10:00"),
    ("Pacific/Apia", "0 */6 * * *", "2011-12-30 00:00", "2011-12-30 04:00 10:00 16:00"),
    # There is no change.
    ("Asia/Kathmandu", "0 9 * * mon-fri", "2026-01-02 12:00", "2026-01-05 03:15, 2026-01-06 03:15"),
    ("UTC", "30 2 * * *", "2026-03-28 12:00", "2026-03-29 02:30, 2026-03-30 02:30"),
    # Days.
    ("UTC", "0 0 L * *", "2026-02-01 00:00", "2026-02-28 00:00, 2026-03-31 00:00"),
    ("UTC", "0 0 LW * *", "2026-02-01 00:00", "2026-02-27 00:00, 2026-03-31 00:00"),
    ("UTC", "0 0 * * 5L", "2026-02-01 00:00", "2026-02-27 00:00, 2026-03-27 00:00"),
    ("UTC", "0 0 * * fri#2,1#5", "2026-03-01 00:00",
     "2026-03-13 00:00, 2026-03-30 00:00, 2026-04-10 00:00"),
    ("UTC", "0 0 * * 0,7", "2026-03-01 00:00", "2026-03-08 00:00, 2026-03-15 00:00"),
    ("UTC", "0 0 29 2 *", "2026-01-01 00:00", "2028-02-29 00:00, 2032-02-29 00:00"),
    ("UTC", "0 0 29 2 */7", "2096-01-01 00:00", "2128-02-29 00:00, 2156-02-29 00:00"),
    ("UTC", "0 0 13 * fri", "2026-03-01 00:00",
     "2026-03-06 00:00, 2026-03-13 00:00, 2026-03-20 00:00"),
    ("UTC", "0 0 13 * */5", "2026-03-01 00:00", "2026-03-13 00:00, 2026-09-13 00:00"),
    ("UTC", "0 0 */9 * fri", "2026-03-01 00:00", "2026-04-10 00:00, 2026-05-01 00:00"),
    ("UTC", "0 0 30 2 mon", "2026-02-01 00:00", "2026-02-02 00:00, 2026-02-09 00:00"),
]  # fmt: skip
SWEPT = [
    "* * * * *", "*/30 * * * *", "30 * * * *", "0 */2 * * *", "0 0 * * *", "30 0 * * *",
    "30 1 * * *", "30 2 * * *", "0,15,45 1-3 * * *", "59 23 * * *", "5/15 2 * * *",
    "0-30/10 0-3 * * *",
]  # fmt: skip
CHANGING = [
    "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Chatham",
    "America/St_Johns", "Africa/Casablanca", "America/Santiago", "Asia/Beirut", "Africa/Cairo",
    "Europe/Dublin", "Antarctica/Troll", "America/Nuuk", "America/Scoresbysund",
]  # fmt: skip


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def instants_of(row):
    zone, text, start, expected = row
    days = [day.split() for day in expected.split(", ")]
    instants = [utc(f"{day} {time}") for day, *times in days for time in times]
    return ZoneInfo(zone), parse_cron(text), utc(start), instants


@pytest.mark.parametrize("row", INSTANTS, ids=str)
def test_the_instants_after_a_time_follow_the_rule(row):
    zone, expression, start, expected = instants_of(row)
    assert [*islice(expression.after(start, zone), len(expected))] == expected


@pytest.mark.parametrize("row", INSTANTS, ids=str)
def test_the_instants_before_a_time_are_the_same_in_reverse(row):
    zone, expression, _, expected = instants_of(row)
    found = [*islice(expression.before(expected[-1] + SECOND, zone), len(expected))]
    assert found == expected[::-1]


@pytest.mark.parametrize("row", INSTANTS, ids=str)
def test_the_number_of_instants_is_that_of_the_walk(row):
    zone, expression, start, expected = instants_of(row)
    assert expression.count(start + SECOND, expected[-1], zone) == len(expected)


# The brute force: read the wall clock at every minute in UTC.


@lru_cache
def values_of(field, first, last):
    """Return the values of a field without names, L and #."""
    found = set()
    for term in field.split(","):
        span, _, step = term.partition("/")
        low, _, high = (f"{first}-{last}" if span == "*" else span).partition("-")
        found |= {*range(int(low), int(high or (last if step else low)) + 1, int(step or 1))}
    return found


def matcher_of(text):
    """Return a function that returns whether a wall time matches the fields of `text`."""
    minute, hour, day, month, weekday = text.split()
    minutes, hours = values_of(minute, 0, 59), values_of(hour, 0, 23)
    days, months = values_of(day, 1, 31), values_of(month, 1, 12)
    weekdays = {number % 7 for number in values_of(weekday, 0, 7)}
    combine = all if "*" in (day[0], weekday[0]) else any

    def matches(wall):
        if wall.minute not in minutes or wall.hour not in hours or wall.month not in months:
            return False
        return combine((wall.day in days, wall.isoweekday() % 7 in weekdays))

    return matches


def clock(start, end, zone):
    """Return each minute in UTC from a day before `start` to `end`, with its wall time."""
    start = start.replace(second=0, microsecond=0) - 26 * HOUR
    minutes = [start + number * MINUTE for number in range((end - start) // MINUTE + 1)]
    return [(minute, minute.astimezone(zone).replace(tzinfo=None, fold=0)) for minute in minutes]


def walk(text, start, end, ticks):
    """Return the instants from `start` to `end` among the ticks of a clock."""
    matches, is_fixed = matcher_of(text), not {*"*/"} & {*"".join(text.split()[:2])}
    found, latest = [], ticks[0][1] - MINUTE
    for instant, wall in ticks:
        if not is_fixed:
            runs = matches(wall)
        else:
            # The wall times that come for the first time now: none, one, or also those of a gap.
            new = range(1, (wall - latest) // MINUTE + 1)
            runs = any(matches(latest + number * MINUTE) for number in new)
            latest = max(latest, wall)
        if runs and start <= instant <= end:
            found.append(instant)
    return found


def found_after(expression, start, end, zone):
    return [*takewhile(lambda found: found <= end, expression.after(start, zone))]


def found_before(expression, start, end, zone):
    return [*takewhile(lambda found: found >= start, expression.before(end, zone))][::-1]


def changes_of(zone, start, end):
    """Return the instants from `start` to `end` at which the offset changes."""
    days = [start + number * DAY for number in range((end - start) // DAY + 1)]
    found = []
    for before, after in pairwise(days):
        offset = before.astimezone(zone).utcoffset()
        if after.astimezone(zone).utcoffset() != offset:
            minutes = [before + number * MINUTE for number in range(24 * 60 + 1)]
            found.append(next(m for m in minutes if m.astimezone(zone).utcoffset() != offset))
    return found


@lru_cache
def changes_of_three_years(name):
    return changes_of(ZoneInfo(name), utc("2024-01-01"), utc("2027-01-01"))


def numbers(first, last):
    """Return a strategy of fields without names."""
    number = st.integers(first, last)
    span = st.tuples(number, number).map(lambda pair: "{}-{}".format(*sorted(pair)))
    step = st.integers(1, last)
    term = st.one_of(
        number.map(str),
        span,
        st.builds("{}/{}".format, st.one_of(st.just("*"), number, span), step),
        st.just("*"),
    )
    return st.one_of(
        st.just("*"), number.map(str), st.lists(term, min_size=1, max_size=3).map(",".join)
    )


def mostly_any(field):
    return st.one_of(st.just("*"), st.just("*"), field)


FIELDS = st.tuples(
    numbers(0, 59),
    st.one_of(numbers(0, 3), numbers(0, 23)),
    mostly_any(numbers(1, 31)),
    mostly_any(numbers(1, 12)),
    mostly_any(numbers(0, 7)),
).map(" ".join)


@st.composite
def times_near_a_change(draw):
    """Draw a zone and a time that is up to two days from a change of its offset."""
    name = draw(st.sampled_from(CHANGING))
    change = draw(st.sampled_from(changes_of_three_years(name)))
    distance = st.timedeltas(-2 * DAY, 2 * DAY) | st.timedeltas(-2 * HOUR, 2 * HOUR)
    return ZoneInfo(name), change + draw(distance)


ANY_TIME = st.tuples(st.timezones(), st.datetimes(datetime(1990, 1, 1), datetime(2037, 1, 1))).map(
    lambda pair: (pair[0], pair[1].replace(tzinfo=UTC))
)


def parsed_or_none(text):
    try:
        return parse_cron(text)
    except InvalidTime:
        return None


@settings(deadline=None)
@given(FIELDS, times_near_a_change() | ANY_TIME, st.timedeltas(HOUR, 3 * DAY))
@example("* * * * *", (BERLIN, utc("2026-10-25 00:30")), DAY)
@example("0 0 * * *", (ZoneInfo("Pacific/Apia"), utc("2011-12-28 12:00")), 3 * DAY)
@example("*/9 * * * *", (ZoneInfo("Pacific/Apia"), utc("2011-12-30 09:00")), DAY)
@example("15 */2 * * *", (ZoneInfo("America/St_Johns"), utc("2010-11-06 12:00")), DAY)
def test_an_expression_agrees_with_a_walk_over_every_minute(text, near, length):
    (zone, start), expression = near, parsed_or_none(text)
    if expression is None:
        return
    expected = walk(text, start, start + length, clock(start, start + length, zone))
    later = [instant for instant in expected if instant > start]
    earlier = [instant for instant in expected if instant < start + length]
    assert found_after(expression, start, start + length, zone) == later
    assert found_before(expression, start, start + length, zone) == earlier
    assert expression.count(start, start + length, zone) == len(expected)


@settings(deadline=None)
@given(FIELDS, times_near_a_change() | ANY_TIME)
def test_instants_are_strictly_increasing_and_in_utc(text, near):
    (zone, start), expression = near, parsed_or_none(text)
    found = [*islice(expression.after(start, zone), 50)] if expression else []
    assert all(earlier < later for earlier, later in pairwise([start, *found]))
    assert {instant.tzinfo for instant in found} <= {UTC}


@settings(deadline=None)
@given(FIELDS, times_near_a_change() | ANY_TIME)
def test_the_fast_way_in_a_steady_zone_agrees_with_the_slow_one(text, near):
    (zone, start), expression = near, parsed_or_none(text)
    if expression is None:
        return
    ways = []
    with pytest.MonkeyPatch.context() as patch:
        for _ in range(2):
            after = [*islice(expression.after(start, zone), 20)]
            ways.append((after, [*islice(expression.before(start, zone), 20)]))
            patch.setattr(cron, "_offset_range", lambda *_: (-DAY + SECOND, DAY - SECOND))
    assert ways[0] == ways[1]


@settings(deadline=None)
@given(FIELDS, st.timezones(), st.integers(0, 365), st.integers(1, 400))
def test_the_number_of_a_long_period_is_that_of_the_walk(text, zone, first_day, days):
    expression, start = parsed_or_none(text), utc("2025-01-01 12:34") + first_day * DAY
    end = start + days * DAY
    if expression is None:
        return
    # Thin out an expression that has too many instants to walk.
    if expression.count(start, end, zone) > 3000:
        end = start + 3 * DAY
    walked = found_after(expression, start - SECOND, end, zone)
    assert expression.count(start, end, zone) == len(walked)


@pytest.mark.slow
def test_an_expression_agrees_with_a_walk_at_every_change_of_every_zone():
    changes = {}
    for name in sorted(available_timezones()):
        zone = ZoneInfo(name)
        for change in changes_of(zone, utc("2024-01-01"), utc("2029-01-01")):
            offsets = [(change - n * MINUTE).astimezone(zone).utcoffset() for n in (1, 0)]
            changes.setdefault((change, *offsets), zone)
    assert len(changes) > 50
    wrong = []
    for (change, *_), zone in changes.items():
        first, last = change - 28 * HOUR, change + 28 * HOUR
        ticks = clock(first, last, zone)
        for text in SWEPT:
            expected = walk(text, first, last, ticks)
            wrong += [
                f"{zone} {text} from {start}"
                for minutes in (-61, -1, 0, 30, 60)
                if not agrees(parse_cron(text), start := change + minutes * MINUTE, zone, expected)
            ]
    assert wrong == []


def agrees(expression, start, zone, expected):
    """Return whether the nearest instants, and the number of the later ones, are as expected."""
    earlier, later = bisect_left(expected, start), bisect_right(expected, start)
    before = expected[max(earlier - 10, 0) : earlier][::-1]
    after = expected[later : later + 10]
    return (
        [*islice(expression.after(start, zone), len(after))] == after
        and [*islice(expression.before(start, zone), len(before))] == before
        and expression.count(start, expected[-1], zone) == len(expected) - earlier
    )


def test_counting_a_year_of_minutes_does_not_walk(monkeypatch):
    days = []
    match_day = CronSim.match_day
    monkeypatch.setattr(CronSim, "__next__", lambda _: pytest.fail("it walks"))
    monkeypatch.setattr(
        CronSim, "match_day", lambda self, day: days.append(day) or match_day(self, day)
    )
    start = utc("2025-03-01 11:11:11")
    assert parse_cron("* * * * *").count(start, start + 365 * DAY, BERLIN) == 365 * 24 * 60
    assert len(days) < 400


def test_the_next_instant_in_a_steady_zone_takes_one_step(monkeypatch):
    steps, expression = [], parse_cron("* * * * *")
    advance = CronSim.__next__
    monkeypatch.setattr(CronSim, "__next__", lambda self: steps.append(1) or advance(self))
    assert next(expression.after(NOON, BERLIN)) == NOON + MINUTE
    assert len(steps) == 1


@pytest.mark.parametrize(("microsecond", "number"), [(0, 0), (1, 1), (999_999, 1)])
def test_the_instant_itself_is_neither_after_nor_before_it(microsecond, number):
    expression, exact = parse_cron("0 * * * *"), NOON.replace(microsecond=microsecond)
    assert next(expression.after(exact, UTC)) == NOON + HOUR
    assert next(expression.before(exact, UTC)) == NOON - (1 - number) * HOUR


def test_the_instant_just_before_a_time_is_followed_by_that_time():
    just_before = NOON - timedelta(microseconds=1)
    assert next(parse_cron("0 * * * *").after(just_before, UTC)) == NOON


def test_both_ends_of_a_period_count():
    expression = parse_cron("0 * * * *")
    assert expression.count(NOON, NOON + HOUR, UTC) == 2
    assert expression.count(NOON + SECOND, NOON + HOUR - SECOND, UTC) == 0
    assert expression.count(NOON, NOON, UTC) == 1
    assert expression.count(NOON + HOUR, NOON, UTC) == 0


@pytest.mark.parametrize(
    ("text", "start", "end", "number"),
    [
        ("30 2 * * *", "2026-03-29 00:00", "2026-03-29 00:59:59.999999", 0),
        ("30 2 * * *", "2026-03-29 00:00", "2026-03-29 01:00", 1),
        ("30 2 * * *", "2026-03-29 01:00", "2026-03-29 02:00", 1),
        ("30 2 * * *", "2026-03-29 01:00:00.000001", "2026-03-29 02:00", 0),
        ("0 */2 * * *", "2026-03-29 00:30:00.500000", "2026-03-29 02:00", 1),
    ],
)
def test_a_time_in_a_gap_counts_at_the_end_of_the_gap_if_it_is_fixed(text, start, end, number):
    assert parse_cron(text).count(utc(start), utc(end), BERLIN) == number


def test_a_time_may_have_another_offset_than_utc():
    local = datetime(2026, 11, 21, 13, tzinfo=BERLIN)
    assert next(parse_cron("0 * * * *").after(local, BERLIN)) == NOON + HOUR
    assert next(parse_cron("0 * * * *").before(local, BERLIN)) == NOON - HOUR


class UnhashableZone(tzinfo):
    """A zone that a cache cannot hold, such as those of dateutil."""

    __hash__ = None  # type: ignore[assignment]

    def utcoffset(self, moment):
        return BERLIN.utcoffset(moment)

    def dst(self, moment):
        return BERLIN.dst(moment)

    def fromutc(self, moment):
        return BERLIN.fromutc(moment.replace(tzinfo=BERLIN)).replace(tzinfo=self)


def test_a_zone_need_not_be_hashable():
    start, expression = utc("2026-10-24 12:00"), parse_cron("30 2 * * *")
    found = [*islice(expression.after(start, UnhashableZone()), 2)]
    assert found == [utc("2026-10-25 00:30"), utc("2026-10-26 01:30")]


@pytest.mark.parametrize("text", ["* * * * *", "30 2 * * *", "0 0 1 1 *", "0 0 29 2 *"])
@pytest.mark.parametrize("hours", [-14, 0, 12])
def test_the_iteration_ends_at_the_limits_of_datetime(text, hours):
    expression, zone = parse_cron(text), timezone(hours * HOUR)
    first, last = (limit.replace(tzinfo=zone) for limit in (datetime.min, datetime.max))
    assert [*expression.after(last, zone)] == []
    assert [*expression.before(first, zone)] == []
    assert [*islice(expression.after(first, BERLIN), 1)] == []
    assert all(instant.year == 9999 for instant in expression.after(last - 6 * DAY, BERLIN))
    assert all(instant.year == 1 for instant in expression.before(first + 6 * DAY, BERLIN))
    assert expression.count(first, first + DAY, BERLIN) == 0
    assert expression.count(last - DAY, last, BERLIN) == 0


def test_an_interval_whose_times_are_all_in_gaps_ends_after_a_century_at_the_latest(monkeypatch):
    # On each 31 March that is a Sunday, the clock in Berlin omits this hour.
    steps, expression = [], parse_cron("0/30 2 31 3 */7")
    advance = CronSim.__next__
    monkeypatch.setattr(CronSim, "__next__", lambda self: steps.append(1) or advance(self))
    assert [*expression.after(NOON, BERLIN)] == []
    assert len(steps) < 2 * 100 / 5


@pytest.mark.parametrize(
    ("text", "is_fixed"),
    [
        ("30 2 * * *", True),
        ("0,30 1-3 */2 */2 */2", True),
        ("@daily", True),
        ("@hourly", False),
        ("* 2 * * *", False),
        ("0 */2 * * *", False),
        ("5/15 2 * * *", False),
        ("0-30/10 2 * * *", False),
    ],
)
def test_a_time_is_fixed_without_a_star_or_step_in_its_minute_and_hour(text, is_fixed):
    assert parse_cron(text).is_fixed is is_fixed


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("@hourly", "0 * * * *"),
        ("@daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@weekly", "0 0 * * sun"),
        ("@monthly", "0 0 1 * *"),
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 jan *"),
        ("@DAILY", "0 0 * * *"),
    ],
)
def test_a_name_stands_for_its_fields(name, fields):
    named, expression = parse_cron(name), parse_cron(fields)
    assert named.text == name
    assert named.words == expression.words
    assert [*islice(named.after(NOON, UTC), 5)] == [*islice(expression.after(NOON, UTC), 5)]


def test_the_text_is_kept_without_surrounding_space():
    assert parse_cron(" 0\t9  * * Mon-Fri\n").text == "0\t9  * * Mon-Fri"


def test_an_expression_is_parsed_once():
    assert parse_cron("1 2 3 4 *") is parse_cron("1 2 3 4 *")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("60 * * * *", "minute is '60'. Give 0 to 59;"),
        ("* 24 * * *", "hour is '24'. Give 0 to 23;"),
        ("* * 0 * *", "day of month is '0'"),
        ("* * 32 * *", "day of month is '32'"),
        ("* * 15W * *", "day of month is '15W'"),
        ("* * ? * *", "day of month is '?'"),
        ("* * L-3 * *", "day of month is 'L-3'"),
        ("* * * 13 *", "month is '13'"),
        ("* * * foo *", "month is 'foo'"),
        ("* * * * 8", "day of week is '8'"),
        ("* * * * sat-sun", "day of week is 'sat-sun'"),
        ("* * * * mon#6", "day of week is 'mon#6'"),
        ("* * * * L", "day of week is 'L'"),
        ("* * * * \u017fun", "day of week is '\u017fun'"),
        ("\u0665 9 * * *", "minute is '\u0665'"),
        ("\u00b2 9 * * *", "minute is '\u00b2'"),
        ("0 9 * * *\0", "day of week is '*\\x00'"),
        ("-5 * * * *", "minute is '-5'"),
        ("5- * * * *", "minute is '5-'"),
        ("30-10 * * * *", "minute is '30-10'"),
        ("5-5/10 * * * *", "minute is '5-5/10'"),
        ("* * * * 1,mon-1/2", "day of week is '1,mon-1/2'"),
        ("*/0 * * * *", "minute is '*/0'"),
        ("*/-5 * * * *", "minute is '*/-5'"),
        ("1.5 * * * *", "minute is '1.5'"),
        (", * * * *", "minute is ','"),
        ("", "it has 0 fields"),
        (" \n", "it has 0 fields"),
        ("*", "it has 1 field."),
        ("every day", "it has 2 fields"),
        ("0 9\n* * *", "it has 4 fields"),
        ("0 0 9 * * *", "it has 6 fields"),
        ("0 9 * * * 2030", "it has 6 fields"),
        (None, "but a NoneType"),
        (5, "but a int"),
        (b"* * * * *", "but a bytes"),
        ([], "but a list"),
    ],
)
def test_a_malformed_expression_is_refused_with_its_field_and_a_remedy(text, problem):
    with pytest.raises(InvalidTime) as caught:
        parse_cron(text)
    assert problem in str(caught.value)
    assert repr(text.strip() if isinstance(text, str) else text) in str(caught.value)
    assert "Give five fields: minute, hour, day of month, month, day of week" in str(caught.value)


@pytest.mark.parametrize("text", ["0 0 31 2 *", "0 0 31 4,6 *", "0 0 */31 * mon#2"])
def test_an_expression_that_never_matches_is_refused(text):
    with pytest.raises(InvalidTime, match="never matches") as caught:
        parse_cron(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("text", ["@reboot", "@Reboot", "@often", "@every 5m", "@"])
def test_an_unknown_name_is_refused_with_the_known_ones(text):
    with pytest.raises(InvalidTime, match=r"Give @hourly, @daily, .*or five fields") as caught:
        parse_cron(text)
    assert text.lower() in str(caught.value).lower()


def test_a_text_that_is_too_long_is_refused_with_the_limit():
    longest = ",".join(["5"] * 46) + " * * * *"
    assert len(longest) < MAX_CRON_LENGTH
    assert parse_cron(longest)
    with pytest.raises(InvalidTime, match=f"101 characters. Give at most {MAX_CRON_LENGTH}"):
        parse_cron(longest.ljust(101))


CHARACTERS = st.sampled_from(
    ["*", "/", ",", "-", "#", "L", "LW", "mon", "JAN", "0", "1", "9", "31"]
)
LOOKALIKES = st.lists(st.lists(CHARACTERS, max_size=4).map("".join), min_size=5, max_size=5)


@settings(deadline=None)
@given(st.text() | LOOKALIKES.map(" ".join))
def test_any_text_is_refused_or_works(text):
    expression = parsed_or_none(text)
    if expression is not None:
        assert expression.words
        assert next(expression.after(NOON, UTC)) > NOON


@pytest.mark.parametrize(
    ("text", "description"),
    [
        ("0 9 * * mon-fri", "At 09:00, Monday to Friday"),
        ("30 2 * * *", "At 02:30 every day"),
        ("* * * * *", "Every minute"),
        ("@hourly", "At the start of every hour"),
        ("@daily", "At 00:00 every day"),
        ("@weekly", "At 00:00 on Sunday"),
        ("@monthly", "At 00:00 on the first day of every month"),
        ("@yearly", "At 00:00 on January 1"),
        ("*/15 9-17 * * 1-5", "Every 15th minute from 09:00 to 17:59, Monday to Friday"),
        ("*/23 * * * *", "Every 23rd minute of every hour"),
        ("0 9,18 * * *", "At 09:00 and 18:00 every day"),
        ("0 0 31 * *", "At 00:00 on the 31st day of every month"),
        ("0 0 11,21,22 * *", "At 00:00 on the 11th, the 21st, and the 22nd day of the month"),
        ("0 0 L * *", "At 00:00 on the last day of every month"),
        ("0 0 LW * *", "At 00:00 on the last weekday of every month"),
        ("0 0 * * 5L", "At 00:00 on the last Friday of the month"),
        ("0 0 * * fri#2", "At 00:00 on the second Friday of the month"),
        ("0 0 13 * fri", "At 00:00 on the 13th day of the month or on Friday"),
        ("0 0 13 * mon-fri", "At 00:00 on the 13th day of the month or on Monday to Friday"),
        ("0 0 */2 * fri", "At 00:00 on every second day of the month if it is Friday"),
        (
            "0 0 */2 * mon-fri",
            "At 00:00 on every second day of the month if it is Monday to Friday",
        ),
        ("0 9 * 1-3 mon-wed", "At 09:00, Monday to Wednesday in every month from January to March"),
        # Either matches, and one of them always does.
        ("0 0 13 * 0-6", "At 00:00 every day"),
        ("0 0 1-31 6 fri", "At 00:00 every day in June"),
    ],
)
def test_an_expression_is_described_in_words(text, description):
    assert parse_cron(text).words == description
