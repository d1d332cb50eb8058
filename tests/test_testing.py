"""What a project's own tests can ask of its jobs."""

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


class TestWhatIsScheduled:
    def test_is_returned(self):
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
    def test_may_be_described(self, description):
        schedule_job("5d", jobs.take, args=[1, (2, 3)], kwargs={"k": {4}})
        schedule_job("5d", jobs.trace)
        assert len(assert_scheduled(jobs.take, **description)) == 1

    def test_may_be_bound_to_an_object(self, order):
        other = Order.objects.create(number="B2")
        for bound in (order, other):
            schedule_job("5d", "remind", bound)
        [found] = assert_scheduled("remind", content_object=other)
        assert found.content_object == other

    def test_has_not_run(self):
        schedule_job("0s", jobs.echo)
        run_due_jobs()
        assert_not_scheduled(jobs.echo)

    def test_that_is_something_else_is_named(self):
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

    def test_too_often_is_told(self):
        for _ in range(12):
            schedule_job("5d", jobs.echo)
        with pytest.raises(AssertionError, match=r"(?s)12 jobs wait .* 11 should.*and 2 more"):
            assert_scheduled(jobs.echo, count=11)

    def test_though_it_should_not_is_told(self):
        schedule_job("5d", jobs.echo)
        with pytest.raises(AssertionError, match=r"(?s)1 jobs wait .* 0 should.*: as described"):
            assert_not_scheduled(jobs.echo)

    def test_is_nothing(self):
        with pytest.raises(AssertionError, match="no job waits at all"):
            assert_scheduled(jobs.echo)

    def test_cannot_be_what_is_no_handler(self):
        with pytest.raises(InvalidCallable):
            assert_scheduled("tests.shop.jobs.misspelt")


class TestWhatIsLeft:
    def test_is_nothing(self):
        schedule_job("0s", jobs.echo)
        run_due_jobs()
        assert_none_left()

    def test_is_told(self):
        schedule_job("5d", jobs.echo)
        with pytest.raises(AssertionError, match=r"1 jobs still wait:\n  tests\.shop\.jobs\.echo"):
            assert_none_left()


class TestAPerformedJob:
    def test_returns_what_would_be_kept_and_leaves_no_row(self):
        assert perform_job(jobs.echo, args=[(1, {2})]) == (1, {2})
        assert not ScheduledJob.objects.exists()

    def test_gets_its_arguments_from_what_is_stored(self, order):
        stale = Order.objects.get(pk=order.pk)
        Order.objects.update(reminders=7)
        assert perform_job(jobs.echo, args=[stale]).reminders == 7

    def test_is_refused_what_a_job_is_refused(self):
        with pytest.raises(InvalidArguments):
            perform_job(jobs.echo, args=[lambda: None])

    def test_raises_what_its_handler_raises_and_keeps_nothing(self):
        with pytest.raises(ValueError, match="fail"):
            perform_job(jobs.trace_and_fail)
        assert not Trace.objects.exists()

    def test_may_be_bound_to_an_object(self, order):
        perform_job("remind", kwargs={"times": 3}, content_object=order)
        order.refresh_from_db()
        assert order.reminders == 3

    def test_may_be_a_decorated_one(self):
        assert perform_job(greet, args=["you"]) == "hello you"
        assert perform_job(wave, args=["you"]) == "waved at you"
        assert perform_job(report, args=["ran"]) == "None: ran"


class TestDueJobs:
    def test_run(self, traces):
        first = schedule_job("0s", jobs.trace, priority=1)
        second = schedule_job("0s", jobs.trace)
        schedule_job("5d", jobs.trace, args=["later"])
        assert run_due_jobs() == [first, second]
        assert traces() == ["ran", "ran"]

    def test_may_be_those_of_a_time_to_come(self, traces):
        schedule_job("5d", jobs.trace)
        run_due_jobs(timezone.now() + timedelta(days=5, seconds=1))
        assert traces() == ["ran"]

    def test_tell_what_became_of_them(self):
        schedule_job("0s", jobs.echo, args=[1])
        [ran] = run_due_jobs()
        assert (ran.status, ran.return_value) == ("complete", 1)

    def test_raise(self):
        schedule_job("0s", jobs.fail)
        with pytest.raises(ValueError, match="fail"):
            run_due_jobs()

    def test_need_not_raise(self):
        schedule_job("0s", jobs.fail)
        [failed] = run_due_jobs(raise_errors=False)
        assert failed.status == "failed"

    def test_may_schedule_others(self):
        schedule_job("0s", jobs.schedule_another)
        assert len(run_due_jobs()) == 1
        assert len(run_due_jobs(recurse=True)) == 1

    def test_that_never_end_are_told(self):
        schedule_job("0s", jobs.schedule_itself)
        with pytest.raises(AssertionError, match="100 passes"):
            run_due_jobs(recurse=True)


class TestInAPlainTestCase(TestCase):
    """As most projects have it: all of it in a transaction that is rolled back."""

    def test_jobs_run(self):
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

    def test_hooks_of_a_commit_do_not_run_by_themselves(self):
        schedule_job("0s", jobs.trace_on_commit)
        with self.captureOnCommitCallbacks(execute=True):
            run_due_jobs()
        assert Trace.objects.filter(text="hook").exists()


@pytest.mark.slow
@pytest.mark.only_on("sqlite", reason="the plugin knows of no database")
def test_the_plugin_of_pytest(pytester, monkeypatch):
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "tests.settings")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("TEST_RUN", "of-the-plugin")  # with a database of its own
    pytester.makepyfile(
        """
        import pytest
        from tests.shop.jobs import echo

        def test_with_the_fixture(future):
            assert future.perform_job(echo, args=[1]) == 1

        @pytest.mark.no_jobs_left
        def test_that_leaves_none(future):
            schedule("0s")
            future.run_due_jobs()

        @pytest.mark.no_jobs_left
        def test_that_leaves_one(future):
            schedule("5d")

        @pytest.mark.no_jobs_left
        def test_that_fails_by_itself(future):
            schedule("5d")
            assert "this" == "that"

        def test_that_may(future):
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
    told = [line for line in result.outlines if "1 jobs still wait:" in line and line[0] == "E"]
    assert len(told) == 1
