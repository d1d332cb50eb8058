"""`django_future.testing`: assertions, `perform_job` and `run_due_jobs`."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from django.test import TestCase, override_settings
from django.utils import timezone

from django_future import (
    RecurringJob,
    ScheduledJob,
    clock,
    declarations,
    recurring,
    run_jobs,
    schedule_job,
    schedule_recurring,
    signals,
)
from django_future.exceptions import InvalidArguments, InvalidCallable, InvalidObject, InvalidTime
from django_future.testing import (
    assert_none_left,
    assert_not_scheduled,
    assert_recurs,
    assert_scheduled,
    override_future,
    perform_job,
    run_due_jobs,
    travel_to,
)
from django_future.testing.travel import stopped_clock
from tests.shop import flaky, jobs
from tests.shop.decorated import greet, report, wave
from tests.shop.models import Order, Trace

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nothing_declared(monkeypatch):
    monkeypatch.setattr(declarations, "_declared", [])


class TestAssertScheduled:
    def test_assert_scheduled_returns_the_jobs(self):
        scheduled = schedule_job("5d", jobs.echo, args=[1])
        assert assert_scheduled(jobs.echo) == [scheduled]

    @pytest.mark.parametrize(
        "description",
        [
            {"args": [1, (2, 3)]},
            {"kwargs": {"k": {4}}},
            {"at": "5d"},
            {"at": timedelta(days=5), "within": "1m"},
            {"at": "4d", "within": "2d"},
            {"count": 1},
        ],
    )
    def test_assert_scheduled_matches_a_description(self, description):
        schedule_job("5d", jobs.take, args=[1, (2, 3)], kwargs={"k": {4}})
        schedule_job("5d", jobs.trace)
        assert len(assert_scheduled(jobs.take, **description)) == 1

    def test_assert_scheduled_matches_the_content_object(self, order):
        other = Order.objects.create(number="B2")
        for bound in (order, other):
            schedule_job("5d", "remind", bound)
        [found] = assert_scheduled("remind", content_object=other)
        assert found.content_object == other

    def test_the_assertions_accept_the_content_object_where_schedule_job_does(self, order):
        scheduled = schedule_job("5d", jobs.echo, order)
        other = Order.objects.create(number="B2")
        assert assert_scheduled(jobs.echo, order, args=[]) == [scheduled]
        assert_not_scheduled(jobs.echo, other)

    @pytest.mark.parametrize("check", [assert_scheduled, assert_not_scheduled, perform_job])
    def test_a_content_object_that_no_job_can_have_is_refused(self, check):
        with pytest.raises(InvalidObject, match=r"is of type int, not a model .* in args"):
            check(jobs.take, 5)
        with pytest.raises(InvalidObject, match="is not saved yet"):
            check(jobs.take, content_object=Order())

    def test_an_object_that_was_deleted_is_refused_as_such(self, order):
        order.delete()
        for check in (assert_not_scheduled, perform_job):
            with pytest.raises(InvalidObject, match="was deleted, so no job can be bound to it"):
                check(jobs.echo, order)

    def test_assert_not_scheduled_ignores_jobs_that_have_run(self):
        schedule_job("0s", jobs.echo)
        run_due_jobs()
        assert_not_scheduled(jobs.echo)

    def test_assert_scheduled_lists_the_other_jobs_if_it_fails(self):
        other = schedule_job("3d", jobs.trace, args=["a"])
        near = schedule_job("3d", jobs.echo, args=[2])
        with pytest.raises(AssertionError) as caught:
            assert_scheduled(jobs.echo, args=[1], at="5d")
        text = str(caught.value)
        assert text.startswith(
            "0 jobs wait as described, and at least one should: tests.shop.jobs.echo, args [1], at "
        )
        lines = text.splitlines()[1:]
        assert lines[0].startswith(f"  job {near.pk}: args [2], at ")
        assert lines[1].startswith(f"  job {other.pk}: calls tests.shop.jobs.trace, args ['a'], at")

    def test_assert_scheduled_fails_if_the_count_differs(self):
        for _ in range(12):
            schedule_job("5d", jobs.echo)
        with pytest.raises(AssertionError, match=r"(?s)12 jobs wait .* 11 should.*and 2 more"):
            assert_scheduled(jobs.echo, count=11)

    def test_assert_not_scheduled_fails_if_a_job_is_scheduled(self):
        schedule_job("5d", jobs.echo)
        with pytest.raises(AssertionError, match=r"(?s)1 job waits .* 0 should.*: as described"):
            assert_not_scheduled(jobs.echo)

    def test_assert_scheduled_compares_the_current_time(self):
        schedule_job("5d", jobs.echo)
        with pytest.raises(AssertionError, match="at "):
            assert_scheduled(jobs.echo, at=timedelta(0))

    def test_assert_scheduled_fails_if_no_job_waits(self):
        with pytest.raises(AssertionError, match="no job waits at all"):
            assert_scheduled(jobs.echo)

    def test_assert_scheduled_refuses_an_unknown_handler(self):
        with pytest.raises(InvalidCallable):
            assert_scheduled("tests.shop.jobs.misspelt")


class TestAssertNoneLeft:
    def test_assert_none_left_passes_if_no_job_waits(self):
        schedule_job("0s", jobs.echo)
        run_due_jobs()
        assert_none_left()

    def test_assert_none_left_lists_the_waiting_jobs(self):
        schedule_job("5d", jobs.echo)
        with pytest.raises(AssertionError, match=r"1 job still waits:\n  tests\.shop\.jobs\.echo"):
            assert_none_left()
        schedule_job("5d", jobs.echo)
        with pytest.raises(AssertionError, match="2 jobs still wait:"):
            assert_none_left()


class TestAssertRecurs:
    @pytest.fixture(params=["declared", "synchronised", "row"])
    def recurs(self, request):
        """Return a function that makes `jobs.trace` recur."""

        def make(name="report", **arguments):
            if request.param == "row":
                schedule_recurring(name, jobs.trace, **arguments)
                return
            recurring(name=name, **arguments)(jobs.trace)
            if request.param == "synchronised":
                travel_to("0s")

        return make

    @pytest.mark.parametrize(
        ("arguments", "description"),
        [
            ({"cron": "0 9 * * mon-fri"}, {}),
            ({"cron": "0 9 * * mon-fri"}, {"cron": "0 9 * * 1-5"}),
            ({"cron": "@daily"}, {"cron": "0 0 * * *"}),
            ({"cron": "0 0 * * 7"}, {"cron": "@weekly", "name": "report"}),
            ({"cron": "*/20 * * * *"}, {"cron": "0,20,40 * * * *"}),
            ({"cron": "0 9 * * *"}, {"timezone": "Europe/Berlin"}),  # of the project
            ({"cron": "0 9 * * *", "timezone": "Asia/Tokyo"}, {"cron": "0 9 * * *"}),
            ({"cron": "0 9 * * *", "timezone": "Asia/Tokyo"}, {"timezone": ZoneInfo("Asia/Tokyo")}),
            ({"cron": "0 9 * * *", "timezone": "UTC"}, {"timezone": UTC}),
            ({"every": "90m"}, {"every": "90m"}),
            ({"every": "90m"}, {"every": "1h30m", "name": "report"}),
            ({"every": "PT90M"}, {"every": timedelta(minutes=90)}),
        ],
    )
    def test_a_rhythm_with_the_same_meaning_passes(self, recurs, arguments, description):
        recurs(**arguments)
        assert assert_recurs(jobs.trace, **description).name == "report"

    @pytest.mark.parametrize(
        ("arguments", "description", "difference"),
        [
            ({"cron": "0 9 * * *"}, {"cron": "0 10 * * *"}, "cron '0 9 * * *'"),
            ({"cron": "0 9 * * *"}, {"every": "1d"}, "cron '0 9 * * *'"),
            ({"cron": "0,30 9 * * *"}, {"cron": "*/30 9 * * *"}, "cron '0,30 9 * * *'"),
            ({"cron": "0 9 * * mon"}, {"cron": "0 9 1-31 * mon"}, "cron '0 9 * * mon'"),
            ({"every": "90m"}, {"every": "1h"}, "every '1h30m'"),
            ({"every": "1h"}, {"cron": "0 * * * *"}, "every '1h'"),
            ({"every": "1h"}, {"every": "1h", "name": "other"}, "has another name"),
            ({"cron": "0 9 * * *"}, {"timezone": "UTC"}, "timezone 'Europe/Berlin'"),
            (
                {"cron": "0 9 * * *"},
                {"cron": "@daily", "timezone": "UTC"},
                "cron '0 9 * * *', timezone 'Europe/Berlin'",
            ),
        ],
    )
    def test_another_rhythm_fails_with_what_differs(
        self, recurs, arguments, description, difference
    ):
        recurs(**arguments)
        with pytest.raises(AssertionError) as caught:
            assert_recurs(jobs.trace, **description)
        assert str(caught.value).splitlines()[1:] == [f"  'report': {difference}"]

    def test_one_of_several_is_enough(self, recurs):
        recurs("first", every="1h")
        recurs("second", every="2h")
        assert assert_recurs(jobs.trace, every="2h").name == "second"

    def test_the_error_lists_the_recurring_jobs_of_the_handler(self, recurs):
        recurs("first", every="1h")
        recurs("second", cron="0 9 * * *")
        schedule_recurring("other", jobs.echo, every="5h")
        with pytest.raises(AssertionError) as caught:
            assert_recurs("tests.shop.jobs.trace", every=timedelta(hours=5), timezone="UTC")
        assert str(caught.value) == (
            "No recurring job is as described: tests.shop.jobs.trace, every '5h', timezone 'UTC'."
            "\n  'first': every '1h', timezone 'Europe/Berlin'"
            "\n  'second': cron '0 9 * * *', timezone 'Europe/Berlin'"
        )

    def test_the_error_says_that_there_is_none(self):
        schedule_recurring("other", jobs.echo, every="5h")
        with pytest.raises(AssertionError, match=r"trace, name 'x'\.\n  no recurring job calls it"):
            assert_recurs(jobs.trace, name="x")

    def test_a_decorated_handler_is_found(self):
        recurring(cron="0 9 * * *", args=["you"])(greet)
        assert assert_recurs(greet, cron="0 9 * * *").name == "tests.shop.decorated.greet"

    def test_a_declaration_of_the_settings_is_found(self, settings):
        settings.DJANGO_FUTURE = {
            "RECURRING": [{"callable": "tests.shop.jobs.trace", "every": "1h"}]
        }
        assert_recurs(jobs.trace, every="1h")

    def test_it_writes_nothing(self):
        recurring(cron="0 9 * * *")(jobs.trace)
        assert assert_recurs(jobs.trace).pk is None
        assert not RecurringJob.objects.exists()

    def test_it_returns_the_row_of_a_declaration_that_was_synchronised(self):
        recurring(name="report", every="5h")(jobs.trace)
        travel_to("0s")
        assert assert_recurs(jobs.trace, every="5h") == RecurringJob.objects.get()

    def test_what_it_returns_has_the_next_instants(self):
        recurring(cron="0 9 * * *", timezone="Europe/Berlin")(jobs.trace)
        [found] = assert_recurs(jobs.trace).upcoming(1, after="2026-03-28 12:00")
        assert str(found) == "2026-03-29 09:00:00+02:00"

    def test_a_changed_declaration_counts_before_it_is_synchronised(self):
        schedule_recurring("report", jobs.trace, every="1h")
        RecurringJob.objects.update(is_declared=True)
        recurring(name="report", every="2h")(jobs.trace)
        assert_recurs(jobs.trace, every="2h")

    def test_a_row_of_code_wins_over_a_declaration_with_its_name(self):
        schedule_recurring("report", jobs.trace, every="1h")
        recurring(name="report", every="2h")(jobs.trace)
        assert_recurs(jobs.trace, every="1h")

    def test_a_declaration_that_was_removed_fails(self):
        schedule_recurring("report", jobs.trace, every="1h")
        RecurringJob.objects.update(is_declared=True)
        with pytest.raises(AssertionError, match="'report': does not run: The code no longer"):
            assert_recurs(jobs.trace)

    def test_a_declaration_that_is_not_valid_fails_with_the_reason(self):
        recurring(name="report", every="0s")(jobs.trace)
        recurring(name="other", every="0s")(jobs.echo)
        with pytest.raises(AssertionError) as caught:
            assert_recurs(jobs.trace)
        [line] = str(caught.value).splitlines()[1:]
        assert "'report' (tests.shop.jobs.trace) is not valid: every is '0s'" in line

    def test_a_recurring_job_that_cannot_be_followed_fails_with_its_error(self):
        schedule_recurring("report", jobs.trace, every="1h")
        RecurringJob.objects.update(error="InvalidArguments: too many")
        with pytest.raises(AssertionError, match="does not run: InvalidArguments: too many"):
            assert_recurs(jobs.trace)

    def test_a_paused_recurring_job_passes(self):
        schedule_recurring("report", jobs.trace, every="1h").pause()
        assert_recurs(jobs.trace, every="1h")

    @pytest.mark.django_db(databases="__all__")
    def test_each_database_has_its_own(self):
        schedule_recurring("report", jobs.trace, every="1h", using="other")
        recurring(name="declared", every="2h", using="other")(jobs.trace)
        assert_recurs(jobs.trace, every="1h", using="other")
        assert_recurs(jobs.trace, every="2h", using="other")
        with pytest.raises(AssertionError):
            assert_recurs(jobs.trace)

    @pytest.mark.parametrize(
        ("description", "error"),
        [
            ({"cron": "every day"}, InvalidTime),
            ({"every": "often"}, InvalidTime),
            ({"cron": "@daily", "every": "1d"}, InvalidTime),
            ({"timezone": "Europe/Atlantis"}, InvalidTime),
            ({"timezone": ""}, InvalidTime),
        ],
    )
    def test_a_wrong_description_is_refused(self, description, error):
        with pytest.raises(error):
            assert_recurs(jobs.trace, **description)

    def test_an_unknown_handler_is_refused(self):
        with pytest.raises(InvalidCallable):
            assert_recurs("tests.shop.jobs.misspelt")


class TestPerformJob:
    def test_perform_job_returns_the_result_and_stores_no_row(self):
        assert perform_job(jobs.echo, args=[(1, {2})]) == (1, {2})
        assert not ScheduledJob.objects.exists()

    def test_perform_job_decodes_the_encoded_arguments(self, order):
        stale = Order.objects.get(pk=order.pk)
        Order.objects.update(reminders=7)
        assert perform_job(jobs.echo, args=[stale]).reminders == 7

    def test_perform_job_refuses_invalid_arguments(self):
        with pytest.raises(InvalidArguments):
            perform_job(jobs.echo, args=[lambda: None])

    def test_perform_job_raises_the_error_of_the_handler_and_rolls_back(self):
        with pytest.raises(ValueError, match="fail"):
            perform_job(jobs.trace_and_fail)
        assert not Trace.objects.exists()

    def test_perform_job_accepts_a_content_object(self, order):
        perform_job("remind", kwargs={"times": 3}, content_object=order)
        order.refresh_from_db()
        assert order.reminders == 3

    def test_perform_job_accepts_the_content_object_where_schedule_job_does(self, order):
        assert perform_job("ring", order, args=[2]) == "A1: ring ring"
        assert perform_job(jobs.echo, order) == order

    def test_perform_job_accepts_decorated_handlers(self):
        assert perform_job(greet, args=["you"]) == "hello you"
        assert perform_job(wave, args=["you"]) == "waved at you"
        assert perform_job(report, args=["ran"]) == "None: ran"


class TestRunDueJobs:
    def test_run_due_jobs_executes_due_jobs(self, trace_texts):
        first = schedule_job("0s", jobs.trace, priority=1)
        second = schedule_job("0s", jobs.trace)
        schedule_job("5d", jobs.trace, args=["later"])
        assert run_due_jobs() == [first, second]
        assert trace_texts() == ["ran", "ran"]

    def test_run_due_jobs_accepts_a_later_time(self, trace_texts):
        schedule_job("5d", jobs.trace)
        run_due_jobs(timezone.now() + timedelta(days=5, seconds=1))
        assert trace_texts() == ["ran"]

    def test_run_due_jobs_returns_jobs_with_their_results(self):
        schedule_job("0s", jobs.echo, args=[1])
        [ran] = run_due_jobs()
        assert (ran.status, ran.return_value) == ("complete", 1)

    def test_run_due_jobs_raises_the_error_of_a_handler(self):
        schedule_job("0s", jobs.fail)
        with pytest.raises(ValueError, match="fail"):
            run_due_jobs()

    def test_run_due_jobs_can_return_failed_jobs(self):
        schedule_job("0s", jobs.fail)
        [failed] = run_due_jobs(raise_errors=False)
        assert failed.status == "failed"

    def test_run_due_jobs_with_recurse_runs_newly_scheduled_jobs(self):
        schedule_job("0s", jobs.schedule_another)
        assert len(run_due_jobs()) == 1
        assert len(run_due_jobs(recurse=True)) == 1

    def test_run_due_jobs_stops_jobs_that_schedule_themselves_for_ever(self):
        schedule_job("0s", jobs.schedule_itself)
        with pytest.raises(AssertionError, match="100 passes"):
            run_due_jobs(recurse=True)


HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SPRING = datetime(2026, 3, 28, 12, 0, 1, tzinfo=UTC)  # hours before the clocks change in Berlin
AUTUMN = datetime(2026, 10, 24, 12, 0, 1, tzinfo=UTC)


def minutes(at):
    """Return the minutes from the start of a journey in spring to the time of a row."""
    return (clock.from_row(at) - SPRING) // timedelta(minutes=1)


@pytest.mark.parametrize("is_declared", [True, False])
class TestTravelThroughRecurringJobs:
    @pytest.fixture
    def recurs(self, is_declared):
        """Return a function that makes a handler recur, by a declaration or by a row."""

        def make(handler=jobs.stamp, **arguments):
            if is_declared:
                recurring(name="report", **arguments)(handler)
            else:
                schedule_recurring("report", handler, **arguments)

        return make

    def test_each_instant_of_ten_days_runs_at_its_time(self, recurs):
        with stopped_clock(SPRING):
            recurs(jobs.read_clocks, cron="0 9 * * mon-fri", timezone="UTC")
            ran = travel_to("10d")
        assert [clock.from_row(job.recurs_at).day for job in ran] == [30, 31, 1, 2, 3, 6, 7]
        assert all(set(job.return_value) == {clock.from_row(job.recurs_at)} for job in ran)

    @pytest.mark.parametrize(
        ("start", "cron", "expected"),
        [
            (SPRING, "30 2 * * *", ["29 01:00", "30 00:30", "31 00:30"]),
            (SPRING, "0 */8 * * *", ["28 15:00", "28 23:00", "29 06:00", "29 14:00", "29 22:00"]),
            (AUTUMN, "30 2 * * *", ["25 00:30", "26 01:30", "27 01:30"]),
            (AUTUMN, "0 2-3/1 * * *", ["25 00:00", "25 01:00", "25 02:00", "26 01:00", "26 02:00"]),
        ],
    )
    def test_the_wall_clock_counts_when_the_clocks_change(self, recurs, start, cron, expected):
        with stopped_clock(start):
            recurs(cron=cron, timezone="Europe/Berlin")
            ran = travel_to("3d")
        found = [f"{clock.from_row(job.recurs_at):%d %H:%M}" for job in ran]
        assert found[: len(expected)] == expected

    def test_an_interval_does_not_drift_when_the_clocks_change(self, recurs):
        with stopped_clock(AUTUMN):
            recurs(every="6h")
            ran = travel_to("1d")
        assert [clock.from_row(job.recurs_at) for job in ran] == [
            AUTUMN + n * timedelta(hours=6) for n in range(1, 5)
        ]

    def test_a_failing_run_does_not_end_the_rhythm(self, recurs):
        with stopped_clock(SPRING):
            recurs(jobs.fail, cron="0 * * * *")
            ran = travel_to("3h", raise_errors=False)
        assert [job.status for job in ran] == ["failed"] * 3

    def test_the_error_of_a_run_is_raised(self, recurs):
        recurs(jobs.fail, every="1h")
        with pytest.raises(ValueError, match="fail"):
            travel_to("3h")

    def test_a_queued_run_starts_when_the_last_one_has_ended(self, recurs):
        with stopped_clock(SPRING):
            recurs(flaky.charge, every="1h", overlap="queue_one", args=[5], max_runs=2)
            ran = travel_to("5h", raise_errors=False)
        first, second = [(60, 60), (60, 61), (60, 121)], [(120, 121), (120, 122), (120, 182)]
        assert [(minutes(job.recurs_at), minutes(job.started_at)) for job in ran] == first + second
        assert RecurringJob.objects.get().skipped_runs == 0

    def test_a_second_journey_does_not_run_an_instant_again(self, recurs):
        with stopped_clock(SPRING):
            recurs(cron="0 * * * *")
            assert [len(travel_to("1d")), len(travel_to("1d"))] == [24, 0]


class TestDueRuns:
    @pytest.fixture(autouse=True)
    def hourly(self):
        """Stop the clock, and make a handler recur every hour."""
        with stopped_clock(SPRING):
            return schedule_recurring("report", jobs.stamp, every="1h")

    def test_run_due_jobs_runs_an_instant_that_is_due(self, trace_texts):
        with stopped_clock(SPRING + HOUR):
            [ran] = run_due_jobs()
        assert (clock.from_row(ran.recurs_at), trace_texts()) == (
            SPRING + HOUR,
            [str(ran.recurs_at)],
        )

    def test_run_due_jobs_runs_the_instants_until_another_time(self, trace_texts):
        with stopped_clock(SPRING):
            [ran] = run_due_jobs(SPRING + HOUR)
        assert clock.from_row(ran.recurs_at) == SPRING + HOUR

    def test_run_due_jobs_leaves_the_instants_that_are_not_due(self):
        with stopped_clock(SPRING + HOUR - timedelta(seconds=1)):
            assert run_due_jobs() == []
        assert_none_left()

    def test_run_jobs_runs_the_instants_of_the_time_it_is_given(self, trace_texts):
        with stopped_clock(SPRING):
            run_jobs(now=SPRING + HOUR)
        assert len(trace_texts()) == 1

    def test_inline_jobs_do_not_include_runs_of_the_future(self, trace_texts):
        with stopped_clock(SPRING), override_future():
            schedule_recurring("soon", jobs.stamp, every="1s")
            schedule_recurring("report", jobs.stamp, every="2s")
        assert trace_texts() == []

    def test_an_inline_trigger_runs_at_once(self, hourly, trace_texts):
        with override_future():
            assert hourly.trigger().status == "complete"
        assert trace_texts() == ["None"]


class TestInAPlainTestCase(TestCase):
    """A test in one transaction that is rolled back, as in most projects."""

    def test_run_due_jobs_works_in_a_plain_test_case(self):
        schedule_job("0s", jobs.trace)
        run_due_jobs()
        assert Trace.objects.get().text == "ran"

    @override_settings(DJANGO_FUTURE={"HEARTBEAT": timedelta(milliseconds=20)})
    def test_a_job_may_take_longer_than_a_heartbeat(self):
        def linger(**_):
            time.sleep(0.05)

        signals.job_started.connect(linger)
        self.addCleanup(signals.job_started.disconnect, linger)
        schedule_job("0s", jobs.trace)
        run_due_jobs()
        assert Trace.objects.get().text == "ran"

    def test_travel_to_lives_through_recurring_jobs_in_a_plain_test_case(self):
        schedule_recurring("report", jobs.trace, every="1h")
        travel_to("1d")
        assert Trace.objects.count() == 24

    def test_on_commit_hooks_run_with_capture_on_commit_callbacks(self):
        schedule_job("0s", jobs.trace_on_commit)
        with self.captureOnCommitCallbacks(execute=True):
            run_due_jobs()
        assert Trace.objects.filter(text="hook").exists()


@pytest.mark.slow
@pytest.mark.only_on("sqlite", reason="the plugin does not depend on the database")
def test_the_pytest_plugin_provides_its_fixture_and_its_mark(pytester, monkeypatch):
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "tests.settings")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("TEST_RUN", "of-the-plugin")  # it uses its own database
    pytester.makepyfile(
        """
        import pytest
        from tests.shop.jobs import echo

        def test_the_fixture_performs_a_job(future):
            assert future.perform_job(echo, args=[1]) == 1

        @pytest.mark.no_jobs_left
        def test_a_marked_test_leaves_no_jobs(future):
            schedule("0s")
            future.run_due_jobs()

        @pytest.mark.no_jobs_left
        def test_a_marked_test_leaves_one(future):
            schedule("5d")

        @pytest.mark.no_jobs_left
        def test_a_marked_test_fails_by_itself(future):
            schedule("5d")
            assert "this" == "that"

        def test_an_unmarked_test_may_leave_one(future):
            schedule("5d")

        def schedule(when):
            from django_future import schedule_job
            schedule_job(when, echo)
        """
    )
    result = pytester.runpytest_subprocess("--strict-markers", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=3, failed=2)
    result.stdout.fnmatch_lines(
        [
            "*1 job still waits:*",
            "*assert 'this' == 'that'*",
            "FAILED*_leaves_one*",
            "FAILED*_itself*",
        ]
    )
    failures = [line for line in result.outlines if "1 job still waits:" in line and line[0] == "E"]
    assert len(failures) == 1
