"""Schedule calls of functions, in the database of your Django project."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from django_future.decorators import job, job_as_parameter
    from django_future.mixins import HasScheduledJobs
    from django_future.models import ScheduledJob
    from django_future.retries import Cancel, Exponential, Retry
    from django_future.scheduling.builder import JobSpec
    from django_future.scheduling.cancel import cancel_jobs
    from django_future.scheduling.jobs import aschedule_job, schedule_job, schedule_jobs
    from django_future.scheduling.queues import pause_queue, resume_queue
    from django_future.scheduling.retry import retry_jobs
    from django_future.worker.run_once import run_jobs

__version__ = "1.0.0a1"

__all__ = [
    "Cancel",
    "Exponential",
    "HasScheduledJobs",
    "JobSpec",
    "Retry",
    "ScheduledJob",
    "aschedule_job",
    "cancel_jobs",
    "job",
    "job_as_parameter",
    "pause_queue",
    "resume_queue",
    "retry_jobs",
    "run_jobs",
    "schedule_job",
    "schedule_jobs",
]

_LAZY_EXPORTS = {
    "decorators": ["job", "job_as_parameter"],
    "mixins": ["HasScheduledJobs"],
    "models": ["ScheduledJob"],
    "retries": ["Cancel", "Exponential", "Retry"],
    "scheduling.cancel": ["cancel_jobs"],
    "scheduling.builder": ["JobSpec"],
    "scheduling.jobs": ["aschedule_job", "schedule_job", "schedule_jobs"],
    "scheduling.queues": ["pause_queue", "resume_queue"],
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
