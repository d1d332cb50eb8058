"""What the flower shop does later: plain functions, each called when its time has come.

A job that is bound to an order gets that order first. What a function returns is kept with its job,
and so is what it raises. Whatever it writes is committed together with "this job is complete", or
not at all.
"""

from datetime import timedelta

from django.utils import timezone

from django_future import job_as_parameter


class CardRefused(Exception):
    """The bank will not pay."""


def follow_up(order):
    """Write to a customer some days after the delivery."""
    return f"{order.customer}, are the {order.flowers} still fresh?"


def charge(order, valid_until):
    """Take the money. Should that fail, the order is as unpaid as it was before."""
    order.is_paid = True
    order.save()
    if valid_until < timezone.localdate():
        raise CardRefused(f"expired in {valid_until:%Y}")
    return f"{order.customer} paid"


def offer(flowers, discount):
    """Offer what is left in the evening. Tomorrow it is worth nothing, so this job expires."""
    return f"{flowers}, {discount} % off"


def greet(customer):
    """Remember a birthday, a long time from now."""
    return f"Happy birthday, {customer}!"


@job_as_parameter
def water(job, litres):
    """Water the plants, and come back in two days with a litre more."""
    job.reschedule(job.scheduled_at + timedelta(days=2), kwargs={"litres": litres + 1})
    return f"{litres} litres"
