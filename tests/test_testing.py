"""`django_future.testing`: assertions, `perform_job` and `run_due_jobs`."""

import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.test import TestCase, override_settings
from django.utils import timezone

from django_future import ScheduledJob, schedule_job, signals
from django_future.exceptions import InvalidArguments, InvalidCallable
from django_future.testing import (
    assert_none_left,
    assert_not_scheduled,
    assert_scheduled,
    perform_job,
    run_due_jobs,
)
from tests.shop import jobs
from tests.shop.decorated import greet, report, wave
from tests.shop.models import Order, Trace

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.django_db


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
        with pytest.raises(AssertionError, match=r"(?s)1 jobs wait .* 0 should.*: as described"):
            assert_not_scheduled(jobs.echo)

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
        with pytest.raises(AssertionError, match=r"1 jobs still wait:\n  tests\.shop\.jobs\.echo"):
            assert_none_left()


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
            "*1 jobs still wait:*",
            "*assert 'this' == 'that'*",
            "FAILED*_leaves_one*",
            "FAILED*_itself*",
        ]
    )
    failures = [line for line in result.outlines if "1 jobs still wait:" in line and line[0] == "E"]
    assert len(failures) == 1
