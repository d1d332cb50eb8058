"""The rows."""

from django_future.models.columns import LONGEST_OBJECT_ID
from django_future.models.history import JobAttempt, JobReport
from django_future.models.job import ScheduledJob
from django_future.models.queue import PausedQueue
from django_future.models.worker import Worker

__all__ = [
    "LONGEST_OBJECT_ID",
    "JobAttempt",
    "JobReport",
    "PausedQueue",
    "ScheduledJob",
    "Worker",
]
