"""The handlers of the flower shop: functions, which jobs call when they are due.

`@job` is not necessary. With it, users of the admin can choose the function for a new job.

A job that is bound to an order passes the order as the first argument. The job stores what the
function returns or raises. What the function writes is committed together with the completion of
the job, or not at all.
"""

import time
from datetime import timedelta

from django.utils import timezone

from django_future import job, job_as_parameter, recurring


class CardRefused(Exception):
    """The bank has refused the payment."""


@job
def follow_up(order):
    """Write to the customer a few days after the delivery."""
    return f"{order.customer}, are the {order.flowers} still fresh?"


@job
def charge(order, valid_until):
    """Charge the card. If this fails, the order stays unpaid."""
    order.is_paid = True
    order.save()
    if valid_until < timezone.localdate():
        raise CardRefused(f"expired in {valid_until:%Y}")
    return f"{order.customer} paid"


@job
def offer(flowers, discount):
    """Offer unsold flowers in the evening. Tomorrow is too late, so this job expires."""
    return f"{flowers}, {discount} % off"


@job
def greet(customer):
    """Send birthday wishes, months from now."""
    return f"Happy birthday, {customer}!"


@recurring(cron="0 8 * * *", timezone="Europe/Berlin")
@job_as_parameter
def buy(job):
    """Buy flowers at eight each morning. However late it runs, `recurs_at` is the right day."""
    return f"flowers for {timezone.localtime(job.recurs_at):%A}"


@job_as_parameter
def water(job, litres):
    """Water the plants, and reschedule the job in two days with one litre more."""
    job.reschedule(job.scheduled_at + timedelta(days=2), kwargs={"litres": litres + 1})
    return f"{litres} litres"


# Not in a transaction, which on SQLite would keep all other writers waiting.
@job(atomic=False)
@job_as_parameter
def print_cards(job, customer, count):
    """Print cards, one each second, and report how many are printed."""
    for number in range(1, count + 1):
        job.progress(number, count, f"card {number} for {customer}")
        if number % 10 == 0:
            job.log(f"{number} cards are printed")
        time.sleep(1)
    return f"{count} cards"
