"""Models of the test shop."""

import importlib
import os
import uuid

from django.db import models

from django_future import HasScheduledJobs, job, job_as_parameter
from tests.shop import witness

if "TEST_IMPORT" in os.environ:
    importlib.import_module(os.environ["TEST_IMPORT"])


class Order(models.Model):
    """An order with a number of reminders."""

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
        """Write a trace with the id of the job."""
        Trace.objects.create(text=f"{self.number} {job.pk} {text}")

    @job(queue_name="calls")
    def ring(self, times=1):
        """Return a text with `times` rings."""
        return f"{self.number}: {'ring ' * times}".strip()

    def see(self, *args):
        """Record the call."""
        witness.CALLS.append(("see", self, args, {}))

    def _secret(self):
        raise AssertionError("a job called a private method")


class ExpressOrder(Order):
    """A proxy of an order with its own method."""

    class Meta:
        proxy = True

    def hurry(self):
        """Write a trace."""
        Trace.objects.create(text=f"{type(self).__name__} hurried")


class Parcel(models.Model):
    """A model with a UUID as its primary key."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)


class Subscription(HasScheduledJobs, models.Model):
    """A model with `HasScheduledJobs`."""

    customer = models.CharField(max_length=20)

    def renew(self):
        """Return the customer."""
        return self.customer


class Gift(Subscription):
    """A proxy of a subscription."""

    class Meta:
        proxy = True


class Trace(models.Model):
    """A row that a handler has written."""

    text = models.TextField()

    def __str__(self):
        return self.text
