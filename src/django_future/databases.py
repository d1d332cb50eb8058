"""Which database holds the jobs, and which the objects that jobs refer to."""

from typing import TYPE_CHECKING, Any, TypeVar

from django.apps import apps
from django.db import connections, models, router

from django_future import remedies
from django_future.exceptions import InvalidJobs, InvalidObject, InvalidOption

if TYPE_CHECKING:
    from django_future.models import ScheduledJob

Row = TypeVar("Row", bound=models.Model)


def jobs_database(using: str | None = None, *, instance: models.Model | None = None) -> str:
    """Return the alias of the database of jobs: `using`, or where the routers write jobs.

    For a job as `instance` it is the database where this job lives, also if the job was read from
    a replica. For another object it is the database of new jobs that are bound to it.
    """
    if using:
        if using not in connections:
            raise InvalidOption(
                f"using is {using!r}, which DATABASES does not have. It has "
                f"{', '.join(map(repr, connections))}."
            )
        return using
    model: type[ScheduledJob] = apps.get_model("django_future", "ScheduledJob")
    if not isinstance(instance, model):
        return _written_to(model, instance)
    read_from, written_to = instance._state.db, _written_to(model, instance)
    if read_from is None or read_from == written_to:
        return written_to
    if instance._state.adding or not _is_copied(instance, read_from, written_to):
        return read_from
    return written_to


def database_of_jobs(jobs: "models.QuerySet[ScheduledJob]") -> str:
    """Return the alias of the database where the jobs of a queryset live.

    This is another than the queryset's if that names a replica, as the manager of a
    `GenericRelation` does.

    Raises `InvalidJobs` if it is no queryset of jobs.
    """
    _check_jobs(jobs)
    if jobs.db == _written_to(jobs.model, None):
        return jobs.db
    job = next(iter(jobs[:1]), None)
    return jobs.db if job is None else jobs_database(instance=job)


def _check_jobs(jobs: Any) -> None:
    if not isinstance(jobs, models.QuerySet):
        raise InvalidJobs(
            f"A value of type {remedies.kind_of(jobs)} is no queryset of jobs. Give one, such as "
            "ScheduledJob.objects.filter(pk__in=...); a single job has methods of its own."
        )
    if jobs.model._meta.concrete_model is not apps.get_model("django_future", "ScheduledJob"):
        raise InvalidJobs(
            f"The queryset is one of {jobs.model._meta.label}, not of jobs. The jobs of an object "
            "are ScheduledJob.objects.for_object(...)."
        )


def object_database(instance: models.Model) -> str:
    """Return the alias of the database where `instance` is saved, not where it was read."""
    return _written_to(type(instance), instance)


def kept_object_database(instance: models.Model) -> str | None:
    """Return what to keep of the database of `instance`: None if the routers know it without."""
    alias = object_database(instance)
    return None if alias == _written_to(type(instance), None) else alias


def saved_objects(model: type[Row], kept: str | None) -> models.QuerySet[Row]:
    """Return all objects of `model` in the database for which `kept` was kept.

    Raises `InvalidObject` if the project has no such database any more.
    """
    alias = kept or _written_to(model, None)
    if alias not in connections:
        raise InvalidObject(
            f"The object is in the database {alias!r}, which DATABASES does not have. Add it."
        )
    return model._base_manager.using(alias)


class RowsWithJobs(models.QuerySet[Row]):
    """Rows of this package, which are read where they are written, and never from a replica."""

    @property
    def db(self) -> str:
        """The alias of the database of this queryset."""
        instance = self._hints.get("instance")  # type: ignore[attr-defined]
        return jobs_database(self._db, instance=instance)  # type: ignore[attr-defined]


def _written_to(model: type[models.Model], instance: models.Model | None) -> str:
    hints = {} if instance is None else {"instance": instance}
    return router.db_for_write(model, **hints)


def _is_copied(job: "ScheduledJob", read_from: str, written_to: str) -> bool:
    """Tell whether the job that was read from one database is a copy of one in the other.

    A router that writes elsewhere than the job was read may have a replica, or the project may
    have named the database of the job with `using`. A replica has the row of its primary.
    """
    jobs = type(job)._base_manager
    created_at = jobs.using(read_from).filter(pk=job.pk).values_list("created_at", flat=True)
    return jobs.using(written_to).filter(pk=job.pk, created_at__in=list(created_at)).exists()
