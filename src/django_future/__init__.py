"""Schedule callables for a time to come, in your Django project's own database."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from django_future.bound import HasScheduledJobs
    from django_future.cancellation import cancel_jobs
    from django_future.decoration import job, job_as_parameter
    from django_future.models import ScheduledJob
    from django_future.queues import pause_queue, resume_queue
    from django_future.retries import Cancel, Exponential, Retry
    from django_future.revival import retry_jobs
    from django_future.scheduling import (
        JobSpec,
        aschedule_job,
        schedule_job,
        schedule_jobs,
    )
    from django_future.worker.one_pass import run_jobs

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

_HOMES = {
    "bound": ["HasScheduledJobs"],
    "cancellation": ["cancel_jobs"],
    "decoration": ["job", "job_as_parameter"],
    "models": ["ScheduledJob"],
    "retries": ["Cancel", "Exponential", "Retry"],
    "revival": ["retry_jobs"],
    "queues": ["pause_queue", "resume_queue"],
    "scheduling": ["JobSpec", "aschedule_job", "schedule_job", "schedule_jobs"],
    "worker.one_pass": ["run_jobs"],
}


def __getattr__(name: str) -> Any:
    # Models cannot be imported before Django has loaded its apps, and this package is one of them.
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
