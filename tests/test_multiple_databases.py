"""Projects with a replica, with routers, or with several databases."""

from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connections
from django.test.utils import CaptureQueriesContext

from django_future import (
    ScheduledJob,
    cancel_jobs,
    pause_queue,
    retry_jobs,
    run_jobs,
    schedule_job,
    schedule_jobs,
)
from django_future.models import JobAttempt, JobProgress, PausedQueue, Worker
from django_future.status import Status
from tests.shop import jobs
from tests.shop.models import Order, Subscription
from tests.support.rows import rewrite

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

MODELS = (ScheduledJob, JobAttempt, JobProgress, PausedQueue, Worker)


@pytest.fixture
def replica(settings):
    """Use the database `other` as a replica, which has no rows until a test copies them."""
    settings.DATABASE_ROUTERS = ["tests.support.routers.PrimaryAndReplica"]
    with CaptureQueriesContext(connections["other"]) as queries:
        yield queries


@pytest.fixture
def apart(settings):
    """Store jobs in the database `other`, and all other models in `default`."""
    settings.DATABASE_ROUTERS = ["tests.support.routers.JobsApart"]


def copy(*rows):
    """Copy rows to the replica."""
    for row in rows:
        model = type(row)
        copied = model._base_manager.using("default").get(pk=row.pk)
        model._base_manager.using("other").filter(pk=row.pk).delete()
        model._base_manager.using("other").bulk_create([copied])
        if model is ScheduledJob:  # Django sets it to the current time
            ScheduledJob.objects.using("other").filter(pk=row.pk).update(
                created_at=ScheduledJob.objects.using("default").get(pk=row.pk).created_at
            )


def on(alias, job):
    """Return the row of a job in a database."""
    return ScheduledJob.objects.using(alias).get(pk=job.pk)


@pytest.mark.usefixtures("replica")
class TestLaggingReplica:
    def test_a_job_runs_with_an_object_that_has_not_reached_the_replica(self):
        order = Order.objects.create(number="new")
        job = schedule_job("0s", "remind", order)
        run_jobs()
        assert on("default", job).status == Status.COMPLETE

    def test_a_job_runs_with_an_argument_that_has_not_reached_the_replica(self):
        order = Order.objects.create(number="new")
        job = schedule_job("0s", jobs.echo, args=[order])
        run_jobs()
        assert on("default", job).return_value == order

    def test_an_argument_that_was_read_from_the_replica_is_found_in_the_primary(self):
        order = Order.objects.create(number="new")
        copy(order)
        job = schedule_job("0s", jobs.echo, args=[Order.objects.get()])
        Order.objects.using("other").all().delete()
        run_jobs()
        assert on("default", job).status == Status.COMPLETE

    def test_an_object_that_was_read_from_the_replica_is_found_in_the_primary(self):
        order = Order.objects.create(number="new")
        copy(order)
        read = Order.objects.get()
        assert read._state.db == "other"
        job = schedule_job("0s", "remind", read)
        Order.objects.using("other").all().delete()
        run_jobs()
        assert on("default", job).status == Status.COMPLETE

    def test_a_job_that_reschedules_itself_writes_to_the_primary(self):
        job = schedule_job("0s", jobs.repeat, args=["1d"])
        run_jobs()
        assert on("default", job).status == Status.COMPLETE
        assert ScheduledJob.objects.using("default").scheduled().count() == 1

    def test_cancel_and_retry_of_a_job_read_from_the_replica_change_the_primary(self):
        for act, status in [
            (lambda job: job.cancel(), Status.CANCELLED),
            (lambda job: job.retry(), Status.SCHEDULED),
        ]:
            job = schedule_job("1d", jobs.echo)
            if status == Status.SCHEDULED:
                job.cancel()
            copy(job)
            for read in (ScheduledJob.objects.get(pk=job.pk), on("other", job)):
                act(read)
                assert on("default", job).status == read.status == status
                ScheduledJob.objects.using("default").filter(pk=job.pk).update(
                    status=on("other", job).status
                )

    def test_a_job_that_was_read_from_the_replica_is_rescheduled_on_the_primary(self):
        job = schedule_job("1d", jobs.echo)
        copy(job)
        new = on("other", job).reschedule("2d")
        assert on("default", new).callable_name == job.callable_name

    def test_cancel_jobs_changes_the_primary_for_any_queryset(self):
        for name in (
            lambda pk: ScheduledJob.objects.filter(pk=pk),
            lambda pk: ScheduledJob.objects.filter(pk=pk)[:1],
            lambda pk: ScheduledJob.objects.using("other").filter(pk=pk),
            lambda pk: ScheduledJob.objects.using("other").filter(pk=pk)[:1],
        ):
            job = schedule_job("1d", jobs.echo)
            copy(job)
            assert cancel_jobs(name(job.pk)) == 1
            assert on("default", job).status == Status.CANCELLED

    def test_retry_jobs_changes_the_primary_for_any_queryset(self):
        for name in (
            lambda pk: ScheduledJob.objects.filter(pk=pk),
            lambda pk: ScheduledJob.objects.filter(pk=pk)[:1],
            lambda pk: ScheduledJob.objects.using("other").filter(pk=pk),
        ):
            job = schedule_job("1d", jobs.echo)
            job.cancel()
            copy(job)
            assert retry_jobs(name(job.pk)) == 1
            assert on("default", job).status == Status.SCHEDULED

    def test_a_job_is_read_and_refreshed_from_the_primary(self):
        job = schedule_job("1d", jobs.echo)
        copy(job)
        cancel_jobs(ScheduledJob.objects.all())
        assert ScheduledJob.objects.get().status == Status.CANCELLED
        stale = on("other", job)
        stale.refresh_from_db()
        assert stale.status == Status.CANCELLED

    def test_the_attempts_and_the_object_of_a_job_are_read_from_the_primary(self):
        order = Order.objects.create(number="new")
        job = schedule_job("0s", jobs.fail, order)
        run_jobs(ignore_errors=True)
        job = ScheduledJob.objects.get(pk=job.pk)
        assert job.failed_attempts.get().number == 1
        assert job.failed_attempts.get().job == job
        assert job.content_object == order

    def test_an_object_read_from_the_replica_lists_and_cancels_its_jobs(self):
        subscription = Subscription.objects.create(customer="Ada")
        job = schedule_job("1d", "renew", subscription)
        copy(subscription)
        read = Subscription.objects.get()
        assert list(read.scheduled_jobs) == [job]
        assert list(ScheduledJob.objects.for_object(read)) == [job]
        read.delete()
        assert on("default", job).status == Status.CANCELLED

    def test_a_unique_job_is_found_before_it_reaches_the_replica(self):
        order = Order.objects.create(number="new")
        copy(order)
        job = schedule_job("1d", jobs.echo, unique=True, args=[order])
        assert schedule_job("1d", jobs.echo, unique=True, args=[Order.objects.get()]) == job

    def test_queues_are_paused_on_the_primary(self):
        pause_queue("default")
        schedule_job("0s", jobs.echo)
        run_jobs()
        assert ScheduledJob.objects.paused().count() == 1

    def test_commands_work_on_the_primary(self):
        job = schedule_job("0s", jobs.echo)
        call_command("runscheduledjobs", verbosity=0)
        assert on("default", job).status == Status.COMPLETE
        call_command("future_prune", stdout=StringIO())

    def test_no_query_for_jobs_goes_to_the_replica(self, replica):
        job = schedule_job("0s", jobs.fail)
        schedule_jobs([{"when": "1d", "callable": jobs.echo}] * 3)
        run_jobs(ignore_errors=True)
        job.refresh_from_db()
        job.retry()
        job.cancel()
        job.reschedule("1d", unique=True)
        list(job.failed_attempts.all())
        list(ScheduledJob.objects.due(job.created_at).paused())
        assert [query["sql"] for query in replica] == []


@pytest.mark.usefixtures("apart")
class TestSeparateJobDatabase:
    @pytest.fixture
    def order(self):
        """Return an order whose key another order has in the database of jobs."""
        order = Order.objects.create(number="mine")
        Order(pk=order.pk, number="another's").save(using="other")
        return order

    def test_a_handler_gets_the_object_that_the_job_was_bound_to(self, order):
        job = schedule_job("0s", "ring", order)
        run_jobs()
        assert on("other", job).return_value == "mine: ring"

    def test_a_job_remembers_the_database_of_its_object(self, order):
        another = Order.objects.using("other").get(pk=order.pk)
        job = schedule_job("0s", "ring", another)
        run_jobs()
        assert on("other", job).return_value == "another's: ring"
        assert on("other", job).content_object.number == "another's"

    def test_content_object_is_the_object_of_the_right_database(self, order):
        job = schedule_job("1d", "ring", order)
        assert on("other", job).content_object.number == "mine"
        assert job.reschedule("2d").content_object.number == "mine"
        [prefetched] = ScheduledJob.objects.filter(pk=job.pk).prefetch_related("content_object")
        with CaptureQueriesContext(connections["default"]) as queries:
            assert prefetched.content_object.number == "mine"
        assert not queries

    def test_for_object_distinguishes_databases_with_equal_keys(self, order):
        another = Order.objects.using("other").get(pk=order.pk)
        mine, anothers = (schedule_job("1d", "ring", one) for one in (order, another))
        assert list(ScheduledJob.objects.for_object(order)) == [mine]
        assert list(ScheduledJob.objects.for_object(another)) == [anothers]

    def test_unique_jobs_distinguish_objects_of_two_databases(self, order):
        another = Order.objects.using("other").get(pk=order.pk)
        mine, anothers = (schedule_job("1d", "ring", one, unique=True) for one in (order, another))
        assert mine != anothers

    def test_deleting_an_object_cancels_its_jobs_in_the_other_database(self):
        subscription = Subscription.objects.create(customer="Ada")
        job = schedule_job("1d", "renew", subscription)
        subscription.delete()
        assert on("other", job).status == Status.CANCELLED

    def test_all_rows_of_jobs_are_written_to_the_job_database(self):
        job = schedule_job("0s", jobs.fail)
        pause_queue("mail")
        run_jobs(ignore_errors=True)
        for model in (ScheduledJob, JobAttempt, PausedQueue):
            assert not model._base_manager.using("default").exists()
        assert ScheduledJob.objects.get().failed_attempts.count() == 1
        job.retry()
        job.cancel()
        call_command("runscheduledjobs", verbosity=0)


class TestSeveralJobDatabases:
    def test_a_job_can_be_bound_to_an_object_of_another_database(self):
        order = Order.objects.create(number="mine")
        Order(pk=order.pk, number="another's").save(using="other")
        job = schedule_job("0s", "ring", order, using="other")
        run_jobs(using="other")
        assert on("other", job).return_value == "mine: ring"

    def test_a_router_does_not_move_a_job_whose_database_was_named(self, settings):
        settings.DATABASE_ROUTERS = ["tests.support.routers.PrimaryAndReplica"]
        schedule_job("1d", jobs.echo)
        job = schedule_job("1d", jobs.echo, using="other")
        on("other", job).cancel()
        assert on("other", job).status == Status.CANCELLED
        assert ScheduledJob.objects.using("default").get().status == Status.SCHEDULED

    def test_a_removed_database_fails_the_job_and_does_not_cancel_it(self):
        order = Order.objects.create(number="mine")
        job = schedule_job("0s", "ring", order)
        rewrite(object_database="archive")
        run_jobs(ignore_errors=True)
        job.refresh_from_db()
        assert job.status == Status.FAILED
        assert "'archive', which DATABASES does not have" in job.error
