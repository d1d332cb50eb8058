"""`override_future`, which executes jobs when they are scheduled."""

from functools import partial
from inspect import iscoroutinefunction

import pytest
from asgiref.sync import async_to_sync
from django.db import transaction
from django.test import TestCase

from django_future import ScheduledJob, aschedule_job, schedule_job, schedule_jobs
from django_future.models import Worker
from django_future.testing import assert_none_left, assert_scheduled, override_future
from tests.shop import jobs
from tests.shop.decorated import greet, wave
from tests.shop.models import Trace

pytestmark = pytest.mark.django_db


@pytest.fixture
def inline():
    """Execute jobs when they are scheduled."""
    with override_future():
        yield


@pytest.mark.usefixtures("inline")
class TestInlineJobs:
    def test_an_inline_job_runs_when_it_is_scheduled(self, trace_texts):
        job = schedule_job("5d", jobs.trace)
        assert (job.status, job.attempts) == ("complete", 1)
        assert trace_texts() == ["ran"]

    def test_an_inline_job_is_recorded(self):
        job = schedule_job("5d", jobs.echo, args=[(1, 2)])
        stored = ScheduledJob.objects.get()
        assert stored == job
        assert stored.return_value == job.return_value == (1, 2)
        assert stored.finished_at < stored.scheduled_at
        assert not Worker.objects.exists()

    def test_an_inline_job_can_schedule_others(self, trace_texts):
        schedule_job("5d", jobs.schedule_another)
        assert trace_texts() == ["by another"]

    def test_schedule_jobs_runs_each_job_inline(self, trace_texts):
        specs = [{"when": "5d", "callable": jobs.trace, "args": [text]} for text in "ab"]
        assert [job.status for job in schedule_jobs(specs)] == ["complete"] * 2
        assert trace_texts() == ["a", "b"]

    def test_a_decorated_handler_runs_inline(self):
        assert greet.schedule("5d", "you").return_value == "hello you"

    def test_an_inline_job_can_be_bound_to_an_object(self, order):
        schedule_job("5d", "remind", order)
        order.refresh_from_db()
        assert order.reminders == 1

    def test_reschedule_runs_the_new_job_inline(self):
        job = schedule_job("5d", jobs.echo, args=[1])
        assert job.reschedule("5d", args=[2]).return_value == 2

    def test_inline_jobs_that_never_end_raise_an_assertion_error(self):
        with pytest.raises(
            AssertionError, match="last of 31 jobs, each scheduled by the one before"
        ):
            schedule_job("5d", jobs.repeat, args=["1d"])


@pytest.mark.usefixtures("inline")
class TestInlineFailures:
    def test_an_inline_failure_is_recorded_and_raised(self):
        with pytest.raises(ValueError, match="fail"):
            schedule_job("5d", jobs.trace_and_fail)
        assert ScheduledJob.objects.get().status == "failed"
        assert not Trace.objects.exists()

    def test_an_inline_failure_keeps_later_jobs_scheduled(self):
        specs = [{"when": "5d", "callable": handler} for handler in (jobs.fail, jobs.echo)]
        with pytest.raises(ValueError, match="fail"):
            schedule_jobs(specs)
        assert_scheduled(jobs.echo)

    def test_an_inline_failure_fails_the_job_that_scheduled_it(self):
        with pytest.raises(ValueError, match="fail"):
            schedule_job("5d", jobs.schedule_and_fail)
        assert [job.callable_name for job in ScheduledJob.objects.all()] == [
            "tests.shop.jobs.schedule_and_fail"
        ]


@pytest.mark.django_db(transaction=True, databases="__all__")
class TestTransactions:
    def test_an_inline_job_has_its_own_transaction(self, trace_texts):
        with override_future():
            schedule_job("5d", jobs.trace_on_commit)
        assert trace_texts() == ["hook"]

    def test_an_inline_job_is_part_of_an_open_transaction(self, trace_texts):
        with override_future(), transaction.atomic():
            schedule_job("5d", jobs.trace)
            assert trace_texts() == ["ran"]
            transaction.set_rollback(True)
        assert trace_texts() == []
        assert not ScheduledJob.objects.exists()

    def test_an_open_transaction_survives_an_inline_failure(self, trace_texts):
        with override_future(), transaction.atomic(durable=True):
            jobs.trace("before")
            with pytest.raises(ValueError, match="fail"):
                schedule_job("5d", jobs.trace_and_fail)
            jobs.trace("after")
        assert trace_texts() == ["before", "after"]
        assert ScheduledJob.objects.get().status == "failed"

    def test_an_on_commit_hook_can_schedule_an_inline_job(self, trace_texts):
        with override_future(), transaction.atomic():
            transaction.on_commit(partial(schedule_job, "5d", jobs.trace))
        assert trace_texts() == ["ran"]

    def test_an_inline_job_can_be_in_another_database(self):
        with override_future(), transaction.atomic():
            job = schedule_job("5d", jobs.echo, using="other")
        assert ScheduledJob.objects.using("other").get(pk=job.pk).status == "complete"

    def test_an_inline_job_can_be_scheduled_from_a_coroutine(self):
        async def schedule():
            return await aschedule_job("5d", jobs.echo), await wave.aschedule("5d", "you")

        with override_future():
            echoed, waved = async_to_sync(schedule)()
        assert echoed.status == "complete"
        assert waved.return_value == "waved at you"


class TestOverrideFuture:
    def test_override_future_decorates_a_function(self):
        @override_future()
        def schedule(when):
            return schedule_job(when, jobs.echo)

        assert schedule("5d").status == "complete"

    def test_override_future_decorates_a_coroutine_function(self):
        @override_future()
        async def schedule(when):
            return await aschedule_job(when, jobs.echo)

        assert iscoroutinefunction(schedule)
        assert async_to_sync(schedule)("5d").status == "complete"
        assert schedule_job("5d", jobs.echo).status == "scheduled"

    def test_override_future_refuses_a_class(self):
        with pytest.raises(TypeError, match=r"the class Tests. .*enterContext"):

            @override_future()
            class Tests(TestCase):
                pass

    def test_jobs_wait_again_after_override_future_has_ended(self):
        with override_future():
            schedule_job("5d", jobs.echo)
        assert schedule_job("5d", jobs.echo).status == "scheduled"

    def test_override_future_does_not_run_jobs_that_waited_before(self):
        waiting = schedule_job("0s", jobs.echo, priority=9)
        with override_future():
            schedule_job("5d", jobs.echo)
        waiting.refresh_from_db()
        assert waiting.status == "scheduled"

    def test_override_future_ends_after_an_error(self):
        with override_future(), pytest.raises(ValueError, match="fail"):
            schedule_job("5d", jobs.fail)
        assert schedule_job("5d", jobs.fail).status == "scheduled"

    @override_future()
    def test_override_future_works_as_a_decorator(self):
        assert schedule_job("5d", jobs.echo).status == "complete"

    def test_nested_override_future_runs_a_job_once(self, trace_texts):
        with override_future(), override_future():
            schedule_job("5d", jobs.trace)
        assert trace_texts() == ["ran"]

    def test_override_future_refuses_unknown_modes(self):
        with pytest.raises(ValueError, match=r"mode is 'eager'\. Give 'inline'"):
            override_future(mode="eager")


class TestInAPlainTestCase(TestCase):
    @override_future(mode="inline")
    def test_inline_jobs_run_in_a_plain_test_case(self):
        with transaction.atomic():
            schedule_job("5d", jobs.trace)
        assert Trace.objects.get().text == "ran"
        assert_none_left()
