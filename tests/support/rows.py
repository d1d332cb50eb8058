"""Signed rows with values that `schedule_job` refuses."""

from django_future import ScheduledJob


def rewrite(*jobs, **changes):
    """Set attributes of the given jobs, or of all jobs, and save them, which signs them."""
    pks = [job.pk for job in jobs]
    rows = ScheduledJob.objects.filter(pk__in=pks) if pks else ScheduledJob.objects.all()
    for row in rows:
        for name, value in changes.items():
            setattr(row, name, value)
        row.save()
