"""Jobs that code scheduled a while ago."""

from django_future import clock, schedule_job
from django_future.testing.travel import stopped_clock


def schedule_in_the_past(length, target, *args, **options):
    """Schedule a job that was due at once, so long ago."""
    with stopped_clock(clock.now() - length):
        return schedule_job("0s", target, *args, **options)
