"""What people see of jobs, queues and workers in Django's admin, and what they can do there."""

from django_future.admin.jobs import ScheduledJobAdmin
from django_future.admin.queues import PausedQueueAdmin
from django_future.admin.workers import WorkerAdmin

__all__ = ["PausedQueueAdmin", "ScheduledJobAdmin", "WorkerAdmin"]
