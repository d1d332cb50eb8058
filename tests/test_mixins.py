"""Models with `HasScheduledJobs`, and the deletion of content objects."""

import pytest
from django.db import IntegrityError, transaction
from django.db.models.signals import pre_delete

from django_future import ScheduledJob, run_jobs, schedule_job
from django_future.status import Status
from tests.shop import jobs
from tests.shop.models import Gift, Parcel, Subscription

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def subscription(db):
    """Return a saved subscription, whose model has the mixin."""
    return Subscription.objects.create(customer="Ada")


def status_of(job):
    job.refresh_from_db()
    return job.status


class TestScheduledJobs:
    def test_a_model_with_the_mixin_lists_its_jobs(self, subscription):
        job = schedule_job("5d", "renew", subscription)
        schedule_job("5d", jobs.trace_object, Subscription.objects.create(customer="Ben"))
        assert list(subscription.scheduled_jobs) == [job]
        assert subscription.scheduled_jobs.running().count() == 0

    def test_the_mixin_works_on_a_proxy_model(self):
        gift = Gift.objects.create(customer="Ada")
        job = schedule_job("5d", "renew", gift)
        assert list(gift.scheduled_jobs) == [job]
        gift.delete()
        assert status_of(job) == Status.CANCELLED

    @pytest.mark.django_db(transaction=True, databases=["default", "other"])
    def test_the_mixin_lists_jobs_of_another_database(self):
        subscription = Subscription.objects.using("other").create(customer="Ada")
        job = schedule_job("5d", "renew", subscription, using="other")
        assert list(subscription.scheduled_jobs.using("other")) == [job]


class TestDeletion:
    def test_deleting_an_object_cancels_its_scheduled_jobs_with_a_reason(self, subscription):
        job = schedule_job("5d", "renew", subscription)
        key = subscription.pk
        subscription.delete()
        assert status_of(job) == Status.CANCELLED
        assert job.error == f"The content object, shop.subscription {key}, was deleted."

    def test_deleting_objects_by_queryset_cancels_their_jobs(self, subscription):
        job = schedule_job("5d", "renew", subscription)
        Subscription.objects.all().delete()
        assert status_of(job) == Status.CANCELLED

    def test_deleting_an_object_keeps_jobs_with_on_delete_fail(self, subscription):
        job = schedule_job("0s", "renew", subscription, on_delete="fail")
        subscription.delete()
        assert status_of(job) == Status.SCHEDULED
        run_jobs(ignore_errors=True)
        assert status_of(job) == Status.FAILED
        assert "ObjectGone" in job.error

    def test_deleting_an_object_keeps_finished_jobs(self, subscription):
        job = schedule_job("0s", "renew", subscription)
        run_jobs()
        subscription.delete()
        assert status_of(job) == Status.COMPLETE

    def test_deleting_an_object_keeps_jobs_of_other_objects(self, subscription):
        job = schedule_job("5d", "renew", Subscription.objects.create(customer="Ben"))
        subscription.delete()
        assert status_of(job) == Status.SCHEDULED

    def test_deleting_an_object_cancels_jobs_in_the_same_transaction(self, subscription):
        job = schedule_job("5d", "renew", subscription)
        with pytest.raises(IntegrityError), transaction.atomic():
            subscription.delete()
            raise IntegrityError
        assert status_of(job) == Status.SCHEDULED


def test_a_job_whose_object_has_no_mixin_is_cancelled_when_it_is_due(order):
    job = schedule_job("0s", "remind", order)
    order.delete()
    assert status_of(job) == Status.SCHEDULED
    run_jobs()
    assert status_of(job) == Status.CANCELLED
    assert "is gone" in job.error


def test_models_without_the_mixin_have_no_pre_delete_receiver():
    """Otherwise Django would read each row before it deletes it."""
    assert pre_delete.has_listeners(Subscription)
    assert not pre_delete.has_listeners(Parcel)


def test_deleting_an_object_cancels_jobs_of_unknown_handlers(subscription):
    job = schedule_job("5d", "renew", subscription)
    ScheduledJob.objects.update(callable_name="tests.gone.handler")
    subscription.delete()
    assert status_of(job) == Status.CANCELLED
