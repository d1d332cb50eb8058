"""What a project's tests see of jobs that run as they are scheduled."""

from functools import partial

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
    """Run jobs as they are scheduled."""
    with override_future():
        yield


@pytest.mark.usefixtures("inline")
class TestAJob:
    def test_has_run_when_it_is_scheduled(self, traces):
        job = schedule_job("5d", jobs.trace)
        assert (job.status, job.attempts) == ("complete", 1)
        assert traces() == ["ran"]

    def test_is_recorded(self):
        job = schedule_job("5d", jobs.echo, args=[(1, 2)])
        kept = ScheduledJob.objects.get()
        assert kept == job
        assert kept.return_value == job.return_value == (1, 2)
        assert kept.finished_at < kept.scheduled_at
        assert not Worker.objects.exists()

    def test_may_schedule_others(self, traces):
        schedule_job("5d", jobs.schedule_another)
        assert traces() == ["by another"]

    def test_may_be_one_of_many(self, traces):
        specs = [{"when": "5d", "callable": jobs.trace, "args": [text]} for text in "ab"]
        assert [job.status for job in schedule_jobs(specs)] == ["complete"] * 2
        assert traces() == ["a", "b"]

    def test_may_be_that_of_a_typed_handler(self):
        assert greet.schedule("5d", "you").return_value == "hello you"

    def test_may_be_bound_to_an_object(self, order):
        schedule_job("5d", "remind", order)
        order.refresh_from_db()
        assert order.reminders == 1

    def test_may_be_scheduled_again(self):
        job = schedule_job("5d", jobs.echo, args=[1])
        assert job.reschedule("5d", args=[2]).return_value == 2

    def test_that_never_ends_is_told(self):
        with pytest.raises(AssertionError, match="last of 31 jobs of which each scheduled the ne"):
            schedule_job("5d", jobs.repeat, args=["1d"])


@pytest.mark.usefixtures("inline")
class TestAJobThatFails:
    def test_is_recorded_and_raises(self):
        with pytest.raises(ValueError, match="fail"):
            schedule_job("5d", jobs.trace_and_fail)
        assert ScheduledJob.objects.get().status == "failed"
        assert not Trace.objects.exists()

    def test_leaves_those_after_it_scheduled(self):
        specs = [{"when": "5d", "callable": handler} for handler in (jobs.fail, jobs.echo)]
        with pytest.raises(ValueError, match="fail"):
            schedule_jobs(specs)
        assert_scheduled(jobs.echo)

    def test_fails_the_one_that_scheduled_it(self):
        with pytest.raises(ValueError, match="fail"):
            schedule_job("5d", jobs.schedule_and_fail)
        assert [job.callable_name for job in ScheduledJob.objects.all()] == [
            "tests.shop.jobs.schedule_and_fail"
        ]


@pytest.mark.django_db(transaction=True, databases="__all__")
class TestTransactions:
    def test_a_job_has_one_of_its_own(self, traces):
        with override_future():
            schedule_job("5d", jobs.trace_on_commit)
        assert traces() == ["hook"]

    def test_a_job_is_part_of_one_that_is_open(self, traces):
        with override_future(), transaction.atomic():
            schedule_job("5d", jobs.trace)
            assert traces() == ["ran"]
            transaction.set_rollback(True)
        assert traces() == []
        assert not ScheduledJob.objects.exists()

    def test_one_that_is_open_survives_a_job_that_fails(self, traces):
        with override_future(), transaction.atomic(durable=True):
            jobs.trace("before")
            with pytest.raises(ValueError, match="fail"):
                schedule_job("5d", jobs.trace_and_fail)
            jobs.trace("after")
        assert traces() == ["before", "after"]
        assert ScheduledJob.objects.get().status == "failed"

    def test_a_job_may_be_scheduled_by_the_hook_of_one(self, traces):
        with override_future(), transaction.atomic():
            transaction.on_commit(partial(schedule_job, "5d", jobs.trace))
        assert traces() == ["ran"]

    def test_a_job_may_be_of_another_database(self):
        with override_future(), transaction.atomic():
            job = schedule_job("5d", jobs.echo, using="other")
        assert ScheduledJob.objects.using("other").get(pk=job.pk).status == "complete"

    def test_a_job_may_be_scheduled_from_a_coroutine(self):
        async def schedule():
            return await aschedule_job("5d", jobs.echo), await wave.aschedule("5d", "you")

        with override_future():
            echoed, waved = async_to_sync(schedule)()
        assert echoed.status == "complete"
        assert waved.return_value == "waved at you"


class TestTheOverride:
    def test_ends(self):
        with override_future():
            schedule_job("5d", jobs.echo)
        assert schedule_job("5d", jobs.echo).status == "scheduled"

    def test_leaves_alone_what_has_waited_before(self):
        waiting = schedule_job("0s", jobs.echo, priority=9)
        with override_future():
            schedule_job("5d", jobs.echo)
        waiting.refresh_from_db()
        assert waiting.status == "scheduled"

    def test_ends_with_an_error(self):
        with override_future(), pytest.raises(ValueError, match="fail"):
            schedule_job("5d", jobs.fail)
        assert schedule_job("5d", jobs.fail).status == "scheduled"

    @override_future()
    def test_decorates(self):
        assert schedule_job("5d", jobs.echo).status == "complete"

    def test_may_be_nested(self, traces):
        with override_future(), override_future():
            schedule_job("5d", jobs.trace)
        assert traces() == ["ran"]

    def test_has_one_mode(self):
        with pytest.raises(ValueError, match=r"mode is 'eager'\. Give 'inline'"):
            override_future(mode="eager")


class TestInAPlainTestCase(TestCase):
    @override_future(mode="inline")
    def test_jobs_run(self):
        with transaction.atomic():
            schedule_job("5d", jobs.trace)
        assert Trace.objects.get().text == "ran"
        assert_none_left()
