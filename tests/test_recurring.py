"""Recurring jobs: what they run, when, and what they refuse."""

import logging
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import DatabaseError, connection, transaction

from django_future import (
    RecurringJob,
    ScheduledJob,
    clock,
    pause_recurring,
    resume_recurring,
    run_jobs,
    schedule_recurring,
    trigger_recurring,
)
from django_future.exceptions import (
    InvalidArguments,
    InvalidCallable,
    InvalidOption,
    InvalidTime,
    NotSigned,
    SchedulingError,
    UnknownRecurringJob,
)
from django_future.scheduling.runs import LEAD, Materialiser
from django_future.store import store_for
from django_future.testing import run_due_jobs, travel_to
from django_future.testing.travel import stopped_clock
from tests.shop import decorated, jobs
from tests.shop.models import Trace

pytestmark = pytest.mark.django_db

MONDAY = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
NOW = MONDAY + timedelta(seconds=1)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture(autouse=True)
def monday():
    """Stop the clock on a Monday, a second after eight."""
    with stopped_clock(NOW):
        yield


def materialise(at, lead=timedelta()):
    """Materialise the due runs, and return the instants of all runs that wait."""
    Materialiser(store_for("default")).work(at, lead)
    return waiting()


def instants(runs):
    """Return the instants of runs; None for one that was triggered."""
    return [run.recurs_at and clock.from_row(run.recurs_at) for run in runs]


def waiting():
    """Return the instants of the runs that wait, in the order of their ids."""
    runs = ScheduledJob.objects.scheduled().filter(recurring__isnull=False).order_by("pk")
    return instants(runs)


def hourly(**arguments):
    """Schedule a recurring job every hour."""
    return schedule_recurring("hourly", jobs.trace, **{"cron": "0 * * * *", **arguments})


class TestCreation:
    def test_a_recurring_job_knows_its_next_run(self):
        recurring = schedule_recurring(
            "report", jobs.trace, cron="0 9 * * mon-fri", timezone="Europe/Berlin"
        )
        assert clock.from_row(recurring.next_run_at) == MONDAY + DAY

    def test_an_interval_first_runs_a_whole_interval_after_it_was_scheduled(self):
        recurring = schedule_recurring("poll", jobs.trace, every="90m")
        assert clock.from_row(recurring.next_run_at) == NOW + timedelta(minutes=90)

    def test_an_interval_with_a_start_first_runs_at_its_start(self):
        recurring = schedule_recurring(
            "poll", jobs.trace, every="90m", starts_at=MONDAY + timedelta(days=5)
        )
        assert clock.from_row(recurring.next_run_at) == MONDAY + timedelta(days=5)

    def test_an_interval_with_a_start_in_the_past_misses_nothing(self):
        recurring = schedule_recurring(
            "poll", jobs.trace, every="1h", starts_at=MONDAY - timedelta(minutes=90)
        )
        assert clock.from_row(recurring.next_run_at) == MONDAY + timedelta(minutes=30)

    def test_the_time_zone_defaults_to_that_of_the_project(self, settings):
        settings.TIME_ZONE = "Asia/Kathmandu"
        assert hourly().timezone == "Asia/Kathmandu"

    def test_a_time_zone_may_be_an_object(self):
        assert hourly(timezone=ZoneInfo("Asia/Tokyo")).timezone == "Asia/Tokyo"

    def test_there_is_no_run_after_the_end(self):
        assert hourly(ends_at=MONDAY - MINUTE).next_run_at is None

    def test_scheduling_again_without_a_change_writes_nothing(self):
        first = schedule_recurring("poll", jobs.trace, every="90m", args=["a"])
        with stopped_clock(MONDAY + MINUTE):
            again = schedule_recurring("poll", jobs.trace, every="90m", args=["a"])
        assert (again.next_run_at, again.anchor_at) == (first.next_run_at, first.anchor_at)

    def test_a_changed_rhythm_counts_from_now(self):
        schedule_recurring("poll", jobs.trace, every="90m")
        with stopped_clock(NOW + HOUR):
            again = schedule_recurring("poll", jobs.trace, every="2h")
        assert clock.from_row(again.next_run_at) == NOW + timedelta(hours=3)

    def test_changed_arguments_keep_the_rhythm(self):
        first = schedule_recurring("poll", jobs.trace, every="90m", args=["a"])
        with stopped_clock(MONDAY + HOUR):
            again = schedule_recurring("poll", jobs.trace, every="90m", args=["b"])
        assert (again.next_run_at, again.args) == (first.next_run_at, ["b"])

    def test_it_is_part_of_the_open_transaction(self):
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            hourly()
            raise ZeroDivisionError
        assert not RecurringJob.objects.exists()


class TestRefusals:
    @pytest.mark.parametrize(
        ("arguments", "error", "words"),
        [
            ({"cron": "0 0 31 2 *"}, InvalidTime, "cron"),
            ({"cron": "0 0 9 * * *"}, InvalidTime, "cron"),
            ({"cron": ""}, InvalidTime, "cron"),
            ({"cron": "every day"}, InvalidTime, "cron"),
            ({"cron": "* * * * *", "timezone": ""}, InvalidTime, "timezone"),
            ({"cron": "* * * * *", "timezone": "America"}, InvalidTime, "timezone"),
            ({"cron": "* * * * *", "timezone": "../etc/passwd"}, InvalidTime, "timezone"),
            ({"cron": "* * * * *", "timezone": "Europe/\0"}, InvalidTime, "timezone"),
            ({"cron": "* * * * *", "timezone": 5}, InvalidTime, "timezone"),
            ({"cron": "* * * * *", "every": "1h"}, InvalidTime, "both"),
            ({}, InvalidTime, "neither of them was given"),
            ({"cron": "@daily", "every": "1d"}, InvalidTime, "both of them were given"),
            ({"every": "0s"}, InvalidTime, "every"),
            ({"every": timedelta(-1)}, InvalidTime, "every"),
            ({"every": "often"}, InvalidTime, "every"),
            (
                {"every": "1h", "starts_at": "2030-01-02", "ends_at": "2030-01-01"},
                InvalidTime,
                "ends_at",
            ),
            ({"every": "1h", "starts_at": "soon"}, InvalidTime, "starts_at"),
            ({"every": "1h", "jitter": "61m"}, InvalidTime, "jitter"),
            ({"cron": "0,1 9 * * *", "jitter": "2m"}, InvalidTime, "jitter"),
            ({"every": "1h", "jitter": "-1m"}, InvalidTime, "jitter"),
            ({"every": "1h", "missed": "twice"}, InvalidOption, "missed"),
            ({"every": "1h", "overlap": "twice"}, InvalidOption, "overlap"),
            ({"every": "1h", "max_runs": 0}, InvalidOption, "max_runs"),
            ({"every": "1h", "max_runs": True}, InvalidOption, "max_runs"),
            ({"every": "1h", "catch_up_window": "0s"}, InvalidTime, "catch_up_window"),
            ({"every": "1h", "expires": MONDAY}, InvalidTime, "expires"),
            ({"every": "1h", "expires": "0s"}, InvalidTime, "expires"),
            ({"every": "1h", "priority": 101}, InvalidOption, "priority"),
            ({"every": "1h", "queue_name": ""}, InvalidOption, "queue_name"),
            ({"every": "1h", "max_attempts": 0}, InvalidOption, "max_attempts"),
            ({"every": "1h", "unique": str}, InvalidOption, "unique"),
            ({"every": "1h", "colour": "red"}, InvalidOption, "colour"),
            ({"every": "1h", "args": [1, 2, 3]}, InvalidArguments, "trace"),
        ],
    )
    def test_bad_arguments_are_refused_with_a_remedy(self, arguments, error, words):
        with pytest.raises(error, match=words) as caught:
            schedule_recurring("bad", jobs.trace, **arguments)
        assert isinstance(caught.value, SchedulingError)
        assert (
            "Give" in str(caught.value)
            or "takes" in str(caught.value)
            or "Options" in str(caught.value)
        )
        assert not RecurringJob.objects.exists()

    @pytest.mark.parametrize("name", ["", " a", "a" * 201, "a\0", None])
    def test_bad_names_are_refused(self, name):
        with pytest.raises(InvalidOption, match="name"):
            schedule_recurring(name, jobs.trace, every="1h")

    def test_a_handler_that_does_not_exist_is_refused(self):
        with pytest.raises(InvalidCallable, match="does not exist"):
            schedule_recurring("bad", "tests.shop.jobs.missing", every="1h")


class TestRuns:
    def test_a_run_is_a_job_that_knows_its_instant(self):
        recurring = hourly(args=["on time"], priority=7, queue_name="mail", max_attempts=3)
        materialise(MONDAY + HOUR)
        run = ScheduledJob.objects.get()
        assert (run.recurring, clock.from_row(run.recurs_at)) == (recurring, MONDAY + HOUR)
        assert (run.scheduled_at, run.args, run.priority) == (run.recurs_at, ["on time"], 7)
        assert (run.queue_name, run.max_attempts) == ("mail", 3)

    def test_a_handler_can_read_its_instant(self):
        schedule_recurring("stamp", jobs.stamp, cron="0 * * * *")
        run_jobs(now=MONDAY + HOUR + timedelta(seconds=20))
        assert Trace.objects.get().text == str(clock.to_row(MONDAY + HOUR))

    def test_a_run_exists_a_little_before_its_instant(self):
        hourly()
        assert materialise(MONDAY + HOUR - timedelta(seconds=10), LEAD) == [MONDAY + HOUR]

    def test_an_instant_is_materialised_once(self):
        hourly()
        materialise(MONDAY + HOUR)
        assert materialise(MONDAY + HOUR) == [MONDAY + HOUR]

    def test_an_instant_runs_once_even_if_its_job_is_deleted(self, trace_texts):
        hourly()
        run_jobs(delete_completed=True, now=MONDAY + HOUR)
        run_jobs(delete_completed=True, now=MONDAY + HOUR)
        assert trace_texts() == ["ran"]

    def test_a_retry_keeps_the_instant(self):
        schedule_recurring("fails", jobs.fail, cron="0 * * * *", max_attempts=2)
        run_jobs(ignore_errors=True, now=MONDAY + HOUR)
        run = ScheduledJob.objects.scheduled().get()
        assert clock.from_row(run.recurs_at) == MONDAY + HOUR
        assert run.scheduled_at != run.recurs_at

    def test_a_rescheduled_copy_is_no_run(self):
        hourly()
        run_jobs(now=MONDAY + HOUR)
        copy = ScheduledJob.objects.get().reschedule("1h")
        assert (copy.recurring, copy.recurs_at) == (None, None)

    def test_there_are_at_most_max_runs(self):
        recurring = hourly(max_runs=2)
        travel_to(MONDAY + 5 * HOUR)
        recurring.refresh_from_db()
        assert (recurring.runs, recurring.next_run_at) == (2, None)

    def test_the_end_is_inclusive(self):
        hourly(ends_at=MONDAY + 2 * HOUR)
        assert len(travel_to(MONDAY + 5 * HOUR)) == 2

    def test_jitter_is_the_same_for_an_instant(self):
        hourly(jitter="30m")
        materialise(MONDAY + HOUR)
        run = ScheduledJob.objects.get()
        delay = run.scheduled_at - run.recurs_at
        assert timedelta() < delay < timedelta(minutes=30)
        run.delete()
        RecurringJob.objects.update(next_run_at=clock.to_row(MONDAY + HOUR))
        materialise(MONDAY + HOUR)
        run = ScheduledJob.objects.get()
        assert run.scheduled_at - run.recurs_at == delay

    def test_a_run_expires_as_its_recurring_job_says(self):
        hourly(expires="30m")
        materialise(MONDAY + HOUR)
        assert ScheduledJob.objects.get().lifetime == timedelta(minutes=30)

    def test_a_run_may_never_expire(self):
        hourly(expires=None)
        materialise(MONDAY + HOUR)
        assert ScheduledJob.objects.get().expires_at is None

    def test_a_run_follows_its_handler_in_what_is_not_given(self):
        schedule_recurring("steady", decorated.wave, cron="0 * * * *", args=["you"])
        materialise(MONDAY + HOUR)
        assert ScheduledJob.objects.get().expires_at is None

    def test_a_run_can_be_bound_to_an_object(self, order, trace_texts):
        schedule_recurring("bound", jobs.trace_object, cron="0 * * * *", content_object=order)
        run_jobs(now=MONDAY + HOUR)
        assert trace_texts() == [f"{order!r} () {{}}"]

    def test_a_skipped_unique_run_is_counted(self):
        recurring = hourly(unique=True)
        materialise(MONDAY + HOUR)
        materialise(MONDAY + 2 * HOUR)
        recurring.refresh_from_db()
        assert (len(waiting()), recurring.runs, recurring.skipped_runs) == (1, 1, 1)


class TestMissedRuns:
    def test_one_run_for_the_latest_instant_is_made_up(self):
        recurring = hourly()
        assert materialise(MONDAY + timedelta(hours=9, minutes=30)) == [MONDAY + 9 * HOUR]
        recurring.refresh_from_db()
        assert (recurring.runs, recurring.missed_runs) == (1, 8)
        assert clock.from_row(recurring.next_run_at) == MONDAY + 10 * HOUR

    def test_missed_runs_can_be_skipped(self):
        recurring = hourly(missed="skip")
        assert materialise(MONDAY + timedelta(hours=9, minutes=30)) == []
        recurring.refresh_from_db()
        assert (recurring.runs, recurring.missed_runs) == (0, 9)

    def test_each_missed_run_can_be_made_up(self):
        hourly(missed="all")
        found = materialise(MONDAY + timedelta(hours=3, minutes=30))
        assert found == [MONDAY + n * HOUR for n in (1, 2, 3)]

    def test_missed_runs_outside_the_window_are_not_made_up(self):
        recurring = hourly(missed="all", catch_up_window="2h")
        at = MONDAY + timedelta(hours=9, minutes=30)
        assert materialise(at) == [MONDAY + 8 * HOUR, MONDAY + 9 * HOUR]
        recurring.refresh_from_db()
        assert recurring.missed_runs == 7

    def test_a_latest_run_outside_the_window_is_not_made_up(self):
        recurring = schedule_recurring(
            "daily", jobs.trace, cron="0 9 * * *", timezone="UTC", catch_up_window="2h"
        )
        assert materialise(MONDAY + timedelta(hours=4)) == []
        recurring.refresh_from_db()
        assert recurring.missed_runs == 1

    def test_a_run_that_was_materialised_before_the_downtime_is_skipped_too(self, trace_texts):
        hourly(missed="skip")
        materialise(MONDAY + HOUR - timedelta(seconds=5), LEAD)
        run_jobs(now=MONDAY + timedelta(minutes=90))
        assert trace_texts() == []
        assert ScheduledJob.objects.get().status == "expired"

    def test_one_run_is_made_up_even_if_others_were_materialised_before_the_downtime(self):
        recurring = schedule_recurring("poll", jobs.trace, every="1s")
        assert len(waiting()) > 5
        at = NOW + timedelta(minutes=10)
        assert materialise(at) == [at]
        recurring.refresh_from_db()
        assert (recurring.runs, recurring.missed_runs) == (1, 599)

    def test_at_most_a_thousand_missed_runs_are_made_up(self):
        recurring = hourly(missed="all")
        found = materialise(MONDAY + timedelta(hours=1500, minutes=30))
        assert (len(found), found[-1]) == (1000, MONDAY + 1500 * HOUR)
        recurring.refresh_from_db()
        assert recurring.missed_runs == 500

    @pytest.mark.parametrize("missed", ["once", "skip", "all"])
    def test_a_run_that_is_a_minute_late_is_not_missed(self, missed):
        hourly(missed=missed)
        assert materialise(MONDAY + HOUR + MINUTE) == [MONDAY + HOUR]

    def test_a_made_up_run_does_not_expire_for_being_late(self):
        hourly(expires="30m")
        at = MONDAY + timedelta(hours=9, minutes=50)
        with stopped_clock(at):
            materialise(at)
        run = ScheduledJob.objects.get()
        assert clock.from_row(run.expires_at) == at + timedelta(minutes=30)

    @pytest.mark.parametrize("missed", ["once", "skip", "all"])
    def test_a_year_of_minutes_is_counted_without_a_walk(self, missed):
        recurring = schedule_recurring("often", jobs.trace, cron="* * * * *", missed=missed)
        materialise(MONDAY + timedelta(days=365))
        recurring.refresh_from_db()
        assert recurring.runs + recurring.missed_runs == 365 * 24 * 60


class TestOverlap:
    @pytest.fixture
    def unfinished(self):
        """Return a function that schedules, and materialises one run that does not end."""

        def schedule(overlap):
            recurring = hourly(overlap=overlap)
            materialise(MONDAY + HOUR)
            ScheduledJob.objects.update(status="running")
            return recurring

        return schedule

    def test_by_default_both_run(self, unfinished):
        unfinished("allow")
        assert materialise(MONDAY + 2 * HOUR) == [MONDAY + 2 * HOUR]

    def test_a_run_can_be_skipped_while_the_last_one_has_not_ended(self, unfinished):
        recurring = unfinished("skip")
        assert materialise(MONDAY + 2 * HOUR) == []
        recurring.refresh_from_db()
        assert (recurring.runs, recurring.skipped_runs, recurring.missed_runs) == (1, 1, 0)

    def test_it_is_not_decided_before_the_instant(self, unfinished):
        recurring = unfinished("skip")
        assert materialise(MONDAY + 2 * HOUR - timedelta(seconds=5), LEAD) == []
        ScheduledJob.objects.update(status="complete")
        assert materialise(MONDAY + 2 * HOUR) == [MONDAY + 2 * HOUR]
        recurring.refresh_from_db()
        assert recurring.skipped_runs == 0

    def test_one_run_can_wait_for_the_end_of_the_last_one(self, unfinished):
        recurring = unfinished("queue_one")
        for n in (2, 3, 4):
            assert materialise(MONDAY + n * HOUR) == []
        recurring.refresh_from_db()
        assert (clock.from_row(recurring.queued_at), recurring.skipped_runs) == (
            MONDAY + 2 * HOUR,
            2,
        )
        ScheduledJob.objects.update(status="complete")
        assert materialise(MONDAY + timedelta(hours=4, minutes=5)) == [MONDAY + 2 * HOUR]
        recurring.refresh_from_db()
        assert (recurring.queued_at, recurring.missed_runs) == (None, 0)

    def test_a_triggered_job_counts_as_unfinished(self):
        recurring = hourly(overlap="skip")
        recurring.trigger()
        assert materialise(MONDAY + HOUR) == [None]

    def test_a_held_run_does_not_delay_others(self, unfinished):
        unfinished("skip")
        schedule_recurring("other", jobs.trace, cron="0 * * * *")
        RecurringJob.objects.filter(name="other").update(
            next_run_at=clock.to_row(MONDAY + 2 * HOUR)
        )
        at = MONDAY + 2 * HOUR - timedelta(seconds=5)
        assert materialise(at, LEAD) == [MONDAY + 2 * HOUR]


class TestVerbs:
    def test_a_paused_recurring_job_does_not_run(self):
        recurring = hourly()
        recurring.pause("the shop is closed")
        assert recurring.is_paused
        assert recurring.paused_reason == "the shop is closed"
        assert travel_to(MONDAY + DAY) == []

    def test_a_pause_takes_back_a_run_that_has_not_started(self):
        recurring = hourly()
        materialise(MONDAY + HOUR - timedelta(seconds=10), LEAD)
        recurring.pause()
        assert waiting() == []
        assert (recurring.runs, recurring.last_run_at) == (0, None)

    def test_a_pause_is_no_downtime(self):
        recurring = hourly()
        recurring.pause()
        with stopped_clock(MONDAY + timedelta(hours=9, minutes=30)):
            recurring.resume()
            assert materialise(clock.now()) == []
        assert clock.from_row(recurring.next_run_at) == MONDAY + 10 * HOUR
        assert recurring.missed_runs == 0

    def test_it_can_be_paused_and_resumed_by_its_name(self):
        recurring = hourly()
        pause_recurring("hourly", reason="by name")
        recurring.refresh_from_db()
        assert recurring.paused_reason == "by name"
        resume_recurring("hourly")
        recurring.refresh_from_db()
        assert not recurring.is_paused

    def test_an_unknown_name_is_refused(self):
        with pytest.raises(UnknownRecurringJob, match="'daily'"):
            pause_recurring("daily")

    def test_scheduling_again_does_not_resume(self):
        hourly().pause()
        assert hourly(args=["b"]).is_paused

    def test_a_trigger_runs_now_and_keeps_the_next_run(self, trace_texts):
        recurring = hourly(args=["triggered"])
        recurring.pause()
        run = trigger_recurring("hourly")
        run_due_jobs()
        assert trace_texts() == ["triggered"]
        assert (run.recurring, run.recurs_at) == (recurring, None)

    def test_a_backfill_runs_each_instant_that_has_no_run(self):
        recurring = hourly()
        materialise(MONDAY + HOUR)
        with stopped_clock(MONDAY + timedelta(hours=3, minutes=30)):
            made = recurring.backfill(MONDAY, MONDAY + 3 * HOUR)
            assert instants(made) == [MONDAY, MONDAY + 2 * HOUR, MONDAY + 3 * HOUR]
            assert {clock.from_row(run.scheduled_at) for run in made} == {clock.now()}
            assert recurring.backfill(MONDAY, MONDAY + 3 * HOUR) == []

    def test_a_pause_takes_back_a_backfill_and_counts_right(self):
        recurring = hourly()
        recurring.backfill(MONDAY - 2 * HOUR, NOW)
        recurring.refresh_from_db()
        assert recurring.runs == 3
        recurring.pause()
        assert (recurring.runs, waiting()) == (0, [])

    @pytest.mark.parametrize(
        ("start", "end"), [(MONDAY, MONDAY - HOUR), (MONDAY - HOUR, MONDAY + HOUR)]
    )
    def test_a_backfill_of_no_past_period_is_refused(self, start, end):
        with pytest.raises(InvalidTime, match="end="):
            hourly().backfill(start, end)

    def test_a_backfill_of_too_many_instants_is_refused(self):
        with pytest.raises(InvalidTime, match="at most 1,000"):
            hourly().backfill(MONDAY - timedelta(days=365), MONDAY)

    def test_upcoming_instants_are_in_the_zone_of_the_recurring_job(self):
        recurring = schedule_recurring(
            "report", jobs.trace, cron="0 9 * * *", timezone="Europe/Berlin"
        )
        found = recurring.upcoming(2)
        assert [str(instant) for instant in found] == [
            "2026-03-03 09:00:00+01:00",
            "2026-03-04 09:00:00+01:00",
        ]
        assert recurring.upcoming(1, found[0]) == found[1:]

    def test_previous_instants_are_listed_from_the_latest_on(self):
        assert hourly().previous(2) == [MONDAY, MONDAY - HOUR]

    def test_a_wrong_number_is_refused(self):
        with pytest.raises(InvalidOption, match="n is -1"):
            hourly().upcoming(-1)

    def test_it_is_described_in_words(self):
        recurring = schedule_recurring(
            "report", jobs.trace, cron="0 9 * * mon-fri", timezone="Europe/Berlin"
        )
        assert recurring.describe() == "At 09:00, Monday to Friday, Europe/Berlin"
        assert schedule_recurring("poll", jobs.trace, every="90m").describe() == "Every 1h30m"

    def test_an_edit_replaces_a_run_that_has_not_started(self):
        hourly(args=["old"])
        at = MONDAY + HOUR - timedelta(seconds=10)
        materialise(at, LEAD)
        with stopped_clock(at):
            hourly(args=["new"])
        run = ScheduledJob.objects.get()
        assert (run.args, clock.from_row(run.recurs_at)) == (["new"], MONDAY + HOUR)

    def test_a_deletion_takes_back_a_run_and_keeps_the_history(self):
        recurring = hourly()
        run_jobs(now=MONDAY + HOUR)
        materialise(MONDAY + 2 * HOUR)
        recurring.delete()
        assert [run.status for run in ScheduledJob.objects.all()] == ["complete"]


class TestErrors:
    @pytest.fixture
    def broken(self):
        """Schedule a recurring job, and then remove its handler."""
        recurring = schedule_recurring("broken", jobs.trace, cron="0 * * * *")
        name = "tests.shop.jobs.removed"
        recurring.callable_name = name
        recurring.save()
        return recurring

    def test_a_recurring_job_without_its_handler_keeps_its_error(self, broken):
        materialise(MONDAY + HOUR)
        broken.refresh_from_db()
        assert "'tests.shop.jobs.removed' does not exist" in broken.error

    def test_it_does_not_stop_the_others(self, broken):
        hourly()
        assert materialise(MONDAY + HOUR) == [MONDAY + HOUR]

    def test_it_is_logged_once(self, broken, caplog):
        materialiser = Materialiser(store_for("default"))
        with caplog.at_level(logging.ERROR, "django_future"):
            materialiser.work(MONDAY + HOUR)
            materialiser.work(MONDAY + HOUR)
            materialise(MONDAY + HOUR)
        assert [record.getMessage()[:23] for record in caplog.records] == [
            "The recurring job 'brok"
        ]

    def test_it_is_tried_again_after_a_change(self, broken):
        materialiser = Materialiser(store_for("default"))
        materialiser.work(MONDAY + HOUR)
        with stopped_clock(MONDAY + HOUR):
            schedule_recurring("broken", jobs.trace, cron="0 * * * *")
            materialiser.work(clock.now())
        broken.refresh_from_db()
        assert (broken.error, waiting()) == ("", [MONDAY + HOUR])

    def test_arguments_that_no_longer_fit_are_an_error(self):
        recurring = hourly()
        recurring.args = [1, 2, 3]
        recurring.save()
        assert materialise(MONDAY + HOUR) == []
        recurring.refresh_from_db()
        assert "InvalidArguments" in recurring.error

    def test_a_zone_that_is_gone_is_an_error(self):
        recurring = hourly()
        RecurringJob.objects.update(timezone="Europe/Atlantis")
        materialise(MONDAY + HOUR)
        recurring.refresh_from_db()
        assert "Europe/Atlantis" in recurring.error

    @pytest.mark.parametrize(
        "every", [timedelta(0), timedelta(microseconds=1), timedelta(-1), None]
    )
    def test_an_interval_that_sql_wrote_is_an_error_and_no_endless_loop(self, every):
        recurring = schedule_recurring("poll", jobs.trace, every="1h")
        RecurringJob.objects.update(every=every)
        assert materialise(NOW + HOUR) == []
        recurring.refresh_from_db()
        assert "every" in recurring.error

    @pytest.mark.parametrize("value", [str(10**17), str(-(10**17)), "'soon'"])
    def test_the_database_refuses_a_duration_that_cannot_be_read(self, value):
        recurring = hourly(jitter="1m")
        if connection.vendor == "postgresql":
            value = f"INTERVAL '{10**5} years'"
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE django_future_recurringjob SET jitter = {value} WHERE id = {recurring.pk}"
            )

    def test_a_row_that_sql_wrote_runs_nothing(self):
        recurring = hourly()
        RecurringJob.objects.update(args='["forged"]')
        assert materialise(MONDAY + HOUR) == []
        recurring.refresh_from_db()
        assert "NotSigned" in recurring.error

    @pytest.mark.parametrize("act", [RecurringJob.trigger, lambda r: r.backfill(MONDAY, NOW)])
    def test_a_row_that_sql_wrote_is_not_run_by_hand(self, act):
        recurring = hourly()
        RecurringJob.objects.update(args='["forged"]')
        with pytest.raises(NotSigned):
            act(recurring)

    def test_a_row_that_sql_wrote_is_signed_when_code_schedules_it_again(self):
        hourly()
        RecurringJob.objects.update(args='["forged"]')
        hourly()
        assert materialise(MONDAY + HOUR) == [MONDAY + HOUR]

    def test_a_row_is_signed_with_the_new_key_at_its_next_run(self, settings):
        recurring = hourly()
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
        settings.SECRET_KEY = "another-key-that-is-long-enough"
        materialise(MONDAY + HOUR)
        settings.SECRET_KEY_FALLBACKS = []
        assert len(materialise(MONDAY + 2 * HOUR)) == 2
        recurring.refresh_from_db()
        assert recurring.error == ""

    def test_travel_to_passes_a_broken_recurring_job(self, broken):
        hourly()
        assert len(travel_to(MONDAY + 2 * HOUR)) == 2
