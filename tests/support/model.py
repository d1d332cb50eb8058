"""A model of the store: the expected rows as plain values, and how each operation changes them."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime

from django_future import ScheduledJob, clock
from django_future.conf import config
from django_future.execution.failure import MAX_RESCUES
from django_future.models import JobAttempt
from tests.shop.models import Trace


@dataclass
class ExpectedJob:
    """The expected row of a job. All names but the last two are columns."""

    scheduled_at: datetime
    expires_at: datetime | None
    first_due_at: datetime | None = None
    queue_name: str = "default"
    priority: int = 0
    is_rescuable: bool = True
    unique_key: str | None = None
    status: str = "scheduled"
    worker: str = ""
    lease: int = 0
    attempts: int = 0
    max_attempts: int = 1
    rescues: int = 0
    started_at: datetime | None = None
    finished_at: datetime | None = None
    failures: int = 0
    effects: int = 0

    def change(self, **changes):
        vars(self).update(changes)

    def reschedule(self, **changes):
        self.change(status="scheduled", worker="", started_at=None, **changes)


class Model:
    """The expected jobs by id, when each worker was seen, the paused queues and the time."""

    def __init__(self):
        self.jobs = {}
        self.seen_at = {}
        self.paused_queues = set()
        self.now = datetime(2030, 6, 1, 12, tzinfo=UTC)

    def add(self, pk, after, lifetime, **values):
        self.jobs[pk] = ExpectedJob(*self.times(after, lifetime), **values)

    def times(self, after, lifetime):
        scheduled_at = self.now + after
        due_at = max(scheduled_at, self.now)
        return scheduled_at, None if lifetime is None else due_at + lifetime

    def due(self, selection):
        """Return the ids of the jobs that are due, in the order in which they start."""
        order = [
            (-job.priority, job.scheduled_at, pk)
            for pk, job in self.jobs.items()
            if job.status == "scheduled"
            and job.scheduled_at <= self.now
            and not self.is_overdue(job)
            and job.queue_name in (selection.queues or [job.queue_name])
            and job.queue_name not in {*selection.excluded_queues, *self.paused_queues}
        ]
        return [pk for _, _, pk in sorted(order)]

    def is_in_order_by_queue(self, ids, due, limit):
        """Return whether `ids` have the highest priorities, and are the first due in each queue.

        The first of them must be due at the same time as the first of all.
        """
        jobs, first = [self.jobs[pk] for pk in ids], [self.jobs[pk] for pk in due[:limit]]
        if [job.priority for job in jobs] != [job.priority for job in first]:
            return False
        if jobs and jobs[0].scheduled_at != first[0].scheduled_at:
            return False
        queues = defaultdict(list)
        for pk in due:
            queues[self.jobs[pk].queue_name].append(pk)
        return all(pk == queues[job.queue_name].pop(0) for pk, job in zip(ids, jobs, strict=True))

    def is_overdue(self, job):
        return job.expires_at is not None and job.expires_at <= self.now

    def claim(self, pk, worker):
        job = self.jobs[pk]
        is_noted = job.is_rescuable and not job.rescues
        job.change(status="running", worker=worker, started_at=self.now if is_noted else None)
        job.change(lease=job.lease + 1, attempts=job.attempts + 1)

    def is_held(self, claimed, status="running"):
        """Return whether the worker of a claimed job still holds the lease."""
        job = self.jobs[claimed.pk]
        return (job.status, job.worker, job.lease) == (status, claimed.worker, claimed.lease)

    def end(self, job, status, **changes):
        job.change(status=status, finished_at=self.now, unique_key=None, **changes)

    def expire(self, job):
        if job.status == "scheduled" and self.is_overdue(job):
            self.end(job, "expired")

    def rescue(self, job):
        seen_since = self.now - 1.25 * config().HEARTBEAT
        if job.status != "running" or self.seen_at[job.worker] >= seen_since:
            return
        has_run = job.started_at is not None
        if has_run and job.rescues == (MAX_RESCUES if job.is_rescuable else 0):
            self.end(job, "failed", failures=job.failures + 1)
        else:
            job.reschedule(rescues=job.rescues + has_run)

    def move(self, job, after):
        is_kept = not after and job.scheduled_at <= self.now and not self.is_overdue(job)
        if is_kept:
            return
        if job.expires_at is not None:
            lifetime = job.expires_at - (job.first_due_at or job.scheduled_at)
            job.expires_at = self.now + after + lifetime
        job.change(scheduled_at=self.now + after, first_due_at=None)

    def retry(self, job):
        if job.expires_at is not None:
            job.expires_at += self.now - (job.first_due_at or job.scheduled_at)
        job.reschedule(scheduled_at=self.now, first_due_at=None, finished_at=None, rescues=0)
        job.max_attempts = max(job.max_attempts, job.failures + 1)

    def chosen(self, ids, *states):
        return [self.jobs[pk] for pk in ids if self.jobs[pk].status in states]

    def holder_of(self, key):
        """Return the id of the job that has a unique key, or None."""
        return next((pk for pk, job in self.jobs.items() if job.unique_key == key), None)

    def differences(self):
        """Return the differences between the database and the model, as messages."""
        rows = rows_by_id()
        if unlike := sorted(rows.keys() ^ self.jobs.keys()):
            return [f"jobs {unlike} are in the database or in the model, but not in both"]
        return [
            f"job {pk} has {name} {row[name]!r}, but the model has {value!r}"
            for pk, row in rows.items()
            for name, value in vars(self.jobs[pk]).items()
            if row[name] != value
        ]


def rows_by_id():
    """Return the values of each job in the database, by the names of the model."""
    failures = Counter(JobAttempt.objects.values_list("job_id", flat=True))
    effects = Counter(Trace.objects.values_list("text", flat=True))
    columns = list(ExpectedJob.__dataclass_fields__)[:-2]
    return {
        job.pk: {name: _instant(getattr(job, name)) for name in columns}
        | {"failures": failures[job.pk], "effects": effects[str(job.pk)]}
        for job in ScheduledJob.objects.all()
    }


def _instant(value):
    return clock.from_row(value) if isinstance(value, datetime) else value
