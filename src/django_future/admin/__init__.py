"""Admin pages for jobs, paused queues and workers."""

from django_future.admin.jobs import ScheduledJobAdmin
from django_future.admin.queues import PausedQueueAdmin
from django_future.admin.workers import WorkerAdmin

__all__ = ["PausedQueueAdmin", "ScheduledJobAdmin", "WorkerAdmin"]
