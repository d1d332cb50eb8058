"""The models: jobs, recurring jobs, workers, paused queues, and what belongs to them."""

from django_future.models.columns import MAX_OBJECT_ID_LENGTH
from django_future.models.declarations import AppliedDeclarations
from django_future.models.failures import FailureNote
from django_future.models.history import JobAttempt, JobProgress
from django_future.models.job import ScheduledJob
from django_future.models.queue import PausedQueue
from django_future.models.recurring import RecurringJob
from django_future.models.statistics import JobStatistics
from django_future.models.worker import Worker

__all__ = [
    "MAX_OBJECT_ID_LENGTH",
    "AppliedDeclarations",
    "FailureNote",
    "JobAttempt",
    "JobProgress",
    "JobStatistics",
    "PausedQueue",
    "RecurringJob",
    "ScheduledJob",
    "Worker",
]
