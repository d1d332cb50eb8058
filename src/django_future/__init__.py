"""Schedule calls of functions, in the database of your Django project."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from django_future.declarations import recurring
    from django_future.decorators import job, job_as_parameter
    from django_future.mixins import HasScheduledJobs
    from django_future.models import RecurringJob, ScheduledJob
    from django_future.retries import Cancel, Exponential, Retry
    from django_future.scheduling.builder import JobSpec
    from django_future.scheduling.cancel import cancel_jobs
    from django_future.scheduling.dealt_with import deal_with_failures, reopen_failures
    from django_future.scheduling.jobs import aschedule_job, schedule_job, schedule_jobs
    from django_future.scheduling.move import move_job, run_job_now, run_jobs_now
    from django_future.scheduling.queues import pause_queue, resume_queue
    from django_future.scheduling.recurring import (
        aschedule_recurring,
        pause_recurring,
        resume_recurring,
        schedule_recurring,
        trigger_recurring,
    )
    from django_future.scheduling.retry import retry_jobs
    from django_future.worker.run_once import run_jobs

__version__ = "1.0.0a1"

__all__ = [
    "Cancel",
    "Exponential",
    "HasScheduledJobs",
    "JobSpec",
    "RecurringJob",
    "Retry",
    "ScheduledJob",
    "aschedule_job",
    "aschedule_recurring",
    "cancel_jobs",
    "deal_with_failures",
    "job",
    "job_as_parameter",
    "move_job",
    "pause_queue",
    "pause_recurring",
    "recurring",
    "reopen_failures",
    "resume_queue",
    "resume_recurring",
    "retry_jobs",
    "run_job_now",
    "run_jobs",
    "run_jobs_now",
    "schedule_job",
    "schedule_jobs",
    "schedule_recurring",
    "trigger_recurring",
]

_LAZY_EXPORTS = {
    "declarations": ["recurring"],
    "decorators": ["job", "job_as_parameter"],
    "mixins": ["HasScheduledJobs"],
    "models": ["RecurringJob", "ScheduledJob"],
    "retries": ["Cancel", "Exponential", "Retry"],
    "scheduling.cancel": ["cancel_jobs"],
    "scheduling.builder": ["JobSpec"],
    "scheduling.dealt_with": ["deal_with_failures", "reopen_failures"],
    "scheduling.jobs": ["aschedule_job", "schedule_job", "schedule_jobs"],
    "scheduling.move": ["move_job", "run_job_now", "run_jobs_now"],
    "scheduling.queues": ["pause_queue", "resume_queue"],
    "scheduling.recurring": [
        "aschedule_recurring",
        "pause_recurring",
        "resume_recurring",
        "schedule_recurring",
        "trigger_recurring",
    ],
    "scheduling.retry": ["retry_jobs"],
    "worker.run_once": ["run_jobs"],
}


def __getattr__(name: str) -> Any:
    # Django imports this package before its apps are loaded, when models cannot be imported.
    for module, names in _LAZY_EXPORTS.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
