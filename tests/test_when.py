"""The parsing of times and durations."""

import time
from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from django_future.exceptions import InvalidTime
from django_future.when import MAX_DURATION, MAX_TEXT_LENGTH, parse_duration, parse_when

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
NEW_YORK = ZoneInfo("America/New_York")


def parse(value, zone=UTC, now=NOW):
    return parse_when(value, now=now, zone=zone)


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("90s", timedelta(seconds=90)),
        ("30m", timedelta(minutes=30)),
        ("0h", timedelta()),
        ("5d", timedelta(days=5)),
        ("2w", timedelta(weeks=2)),
        ("1h30m", timedelta(hours=1, minutes=30)),
        ("1w 2d 3h 4m 5s", timedelta(weeks=1, days=2, hours=3, minutes=4, seconds=5)),
        ("1.5h", timedelta(minutes=90)),
        ("P5D", timedelta(days=5)),
        ("PT1H30M", timedelta(minutes=90)),
        ("P1DT0.5S", timedelta(days=1, seconds=0.5)),
        ("P2W", timedelta(weeks=2)),
    ],
)
def test_a_duration_text_is_an_offset_from_now(text, length):
    assert parse(text) == NOW + length
    assert parse_duration(text) == length


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2030-01-31T09:00", datetime(2030, 1, 31, 9, tzinfo=UTC)),
        ("2030-01-31 09:00:00.5", datetime(2030, 1, 31, 9, 0, 0, 500000, tzinfo=UTC)),
        ("2030-01-31T09:00:00Z", datetime(2030, 1, 31, 9, tzinfo=UTC)),
        ("2030-01-31T09:00+01:00", datetime(2030, 1, 31, 8, tzinfo=UTC)),
        ("2030-01-31", datetime(2030, 1, 31, tzinfo=UTC)),
    ],
)
def test_iso_datetimes_are_parsed(text, instant):
    assert parse(text) == instant


def test_a_timedelta_can_be_negative():
    assert parse(timedelta(hours=-1)) == NOW - timedelta(hours=1)


def test_an_aware_datetime_is_converted_to_utc():
    assert parse(datetime(2030, 1, 1, tzinfo=timezone(timedelta(hours=5)))) == datetime(
        2029, 12, 31, 19, tzinfo=UTC
    )


def test_a_naive_datetime_is_wall_time_in_the_given_zone():
    assert parse(datetime(2026, 7, 1, 12), NEW_YORK) == datetime(2026, 7, 1, 16, tzinfo=UTC)


@pytest.mark.parametrize("fold", [0, 1])
def test_a_time_in_a_gap_moves_forward_by_the_gap(fold):
    moment = datetime(2026, 3, 8, 2, 30, fold=fold)
    assert parse(moment, NEW_YORK).astimezone(NEW_YORK).time() == datetime(1, 1, 1, 3, 30).time()


@pytest.mark.parametrize(("fold", "hour"), [(0, 5), (1, 6)])
def test_fold_selects_one_of_two_repeated_times(fold, hour):
    moment = datetime(2026, 11, 1, 1, 30, fold=fold)
    assert parse(moment, NEW_YORK) == datetime(2026, 11, 1, hour, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    ["", " ", "5", "5x", "d", "five days", "1h1h", "30m1h", "-5d", "P", "PT", "P1M", "P1Y",
     "2030-13-01", "2030-01-31T25:00", "٥d", None, 5, 5.0, True, b"5d", date(2030, 1, 1), object(),
     [], "99999999999999999999w", timedelta.max, datetime.max.replace(tzinfo=NEW_YORK)],
)  # fmt: skip
def test_an_invalid_time_is_refused_with_its_value(value):
    with pytest.raises(InvalidTime) as caught:
        parse(value)
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize("value", ["-5d", " -1h30m", "-PT1H"])
def test_a_negative_offset_in_a_text_is_refused_with_the_reason(value):
    with pytest.raises(InvalidTime, match="cannot be negative"):
        parse(value)


@pytest.mark.parametrize("value", ["soon", 5, None, "2030-01-01"])
def test_an_invalid_duration_is_refused_with_its_value(value):
    with pytest.raises(InvalidTime, match="not a duration"):
        parse_duration(value)


@pytest.mark.parametrize("read", [parse, parse_duration])
def test_a_time_text_that_is_too_long_is_refused_with_the_limit(read):
    text = "1w" + 400 * " " + "x"
    with pytest.raises(
        InvalidTime, match=f"403 characters. Give at most {MAX_TEXT_LENGTH}"
    ) as caught:
        read(text)
    assert len(str(caught.value)) < 2 * MAX_TEXT_LENGTH


@pytest.mark.parametrize("filling", [" ", "1", "1,", "1 ", "1w", "0.1"])
@pytest.mark.parametrize("beginning", ["", "1w", "P", "P1DT", "2030-01-31T"])
def test_parsing_the_slowest_text_takes_less_than_a_millisecond(beginning, filling):
    text = (beginning + MAX_TEXT_LENGTH * filling)[: MAX_TEXT_LENGTH - 1] + "x"
    started_at = time.thread_time()  # independent of other threads and processes
    for _ in range(10):
        with pytest.raises(InvalidTime):
            parse(text)
    assert time.thread_time() - started_at < 10 * 0.001


@pytest.mark.parametrize("value", [timedelta.max, timedelta.min, "40000d", "P6000W"])
def test_a_duration_of_more_than_a_century_is_refused_with_the_limit(value):
    with pytest.raises(InvalidTime, match="Give at most 36525 days"):
        parse_duration(value)
    assert parse_duration("36525d") == MAX_DURATION


@pytest.mark.parametrize(
    "value",
    ["0001-01-01T23:59:59Z", "9999-12-30T00:00:01Z", "9999-12-31", datetime.min, datetime.max,
     datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC),
     datetime.min.replace(tzinfo=UTC) - NOW, datetime.max.replace(tzinfo=UTC) - NOW],
)  # fmt: skip
def test_a_time_that_some_zones_cannot_represent_is_refused(value):
    with pytest.raises(InvalidTime, match="is out of range") as caught:
        parse(value)
    assert repr(value) in str(caught.value)


@given(st.datetimes(min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 29)), st.timezones())
@example(datetime(2026, 3, 29, 2, 30), ZoneInfo("Europe/Berlin"))
def test_every_naive_datetime_maps_to_an_instant_not_before_its_wall_time(moment, zone):
    instant = parse(moment, zone)
    assert instant.tzinfo is UTC
    assert instant.astimezone(zone).replace(tzinfo=None) >= moment


@given(st.text())
def test_parsing_any_text_returns_utc_or_raises_invalid_time(text):
    try:
        instant = parse(text)
    except InvalidTime:
        return
    assert instant.tzinfo is UTC
