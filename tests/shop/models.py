"""Orders, and traces that handlers leave behind."""

import importlib
import os
import uuid

from django.db import models

from django_future import HasScheduledJobs, job, job_as_parameter
from tests.shop import witness

if "TEST_IMPORT" in os.environ:
    importlib.import_module(os.environ["TEST_IMPORT"])


class Order(models.Model):
    """An order, which can be reminded of."""

    number = models.CharField(max_length=20)
    reminders = models.IntegerField(default=0)

    def __str__(self):
        return f"Order {self.number}"

    def remind(self, times=1):
        """Count a reminder."""
        self.reminders += times
        self.save()

    @job_as_parameter
    def note(self, job, text):
        """Leave a trace with the job's id."""
        Trace.objects.create(text=f"{self.number} {job.pk} {text}")

    @job(queue_name="calls")
    def ring(self, times=1):
        """Say how often it rang."""
        return f"{self.number}: {'ring ' * times}".strip()

    def see(self, *args):
        """Remember the call."""
        witness.CALLS.append(("see", self, args, {}))

    def _secret(self):
        raise AssertionError("a job called a private method")


class ExpressOrder(Order):
    """An order seen as something else, with a method of its own."""

    class Meta:
        proxy = True

    def hurry(self):
        """Leave a trace."""
        Trace.objects.create(text=f"{type(self).__name__} hurried")


class Parcel(models.Model):
    """A thing with a primary key that is not a number."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)


class Subscription(HasScheduledJobs, models.Model):
    """A thing that knows its jobs."""

    customer = models.CharField(max_length=20)

    def renew(self):
        """Say who renews."""
        return self.customer


class Gift(Subscription):
    """A subscription that somebody else pays for."""

    class Meta:
        proxy = True


class Trace(models.Model):
    """What a handler left behind."""

    text = models.TextField()

    def __str__(self):
        return self.text
