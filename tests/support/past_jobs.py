"""Jobs that were scheduled in the past."""

from django_future import clock, schedule_job
from django_future.testing.travel import stopped_clock


def schedule_in_the_past(length, target, *args, **options):
    """Schedule a job for now while the clock is set back by `length`."""
    with stopped_clock(clock.now() - length):
        return schedule_job("0s", target, *args, **options)
