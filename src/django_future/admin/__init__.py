"""Admin pages for jobs, recurring jobs, paused queues and workers."""

from django_future.admin.inline import JobInline
from django_future.admin.jobs import ScheduledJobAdmin
from django_future.admin.queues import PausedQueueAdmin
from django_future.admin.recurring import RecurringJobAdmin
from django_future.admin.workers import WorkerAdmin

__all__ = [
    "JobInline",
    "PausedQueueAdmin",
    "RecurringJobAdmin",
    "ScheduledJobAdmin",
    "WorkerAdmin",
]
