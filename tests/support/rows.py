"""Rows that hold what `schedule_job` would refuse, as other code of the project could sign them."""

from django_future import ScheduledJob


def rewrite(*jobs, **changes):
    """Set attributes of jobs, of all there are if none is given, and save what is then signed."""
    pks = [job.pk for job in jobs]
    rows = ScheduledJob.objects.filter(pk__in=pks) if pks else ScheduledJob.objects.all()
    for row in rows:
        for name, value in changes.items():
            setattr(row, name, value)
        row.save()
