"""The databases of jobs, and of the objects that jobs refer to."""

from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db import connections, models, router

from django_future import remedies
from django_future.exceptions import InvalidJobs, InvalidObject, InvalidOption
from django_future.rows import Row, TypedQuerySet

if TYPE_CHECKING:
    from django_future.models import ScheduledJob


def jobs_database(using: str | None = None, *, instance: models.Model | None = None) -> str:
    """Return the alias of the database of jobs: `using`, or the one to which routers write jobs.

    If `instance` is a job, return the database of this job, even if it was read from a replica. If
    it is a recurring job, return its database. If it is another object, return the database of new
    jobs that are bound to it.

    Raises `InvalidOption` if `using` is not in `DATABASES`.
    """
    if using:
        if using not in connections:
            raise InvalidOption(
                f"using is {using!r}, which DATABASES does not have. Use one of "
                f"{', '.join(map(repr, connections))}.{remedies.did_you_mean(using, connections)}"
            )
        return using
    model: type[ScheduledJob] = apps.get_model("django_future", "ScheduledJob")
    if instance is None:
        return _written_to(model, None)
    if isinstance(instance, apps.get_model("django_future", "RecurringJob")):
        return instance._state.db or _written_to(model, None)  # never read from a replica
    if isinstance(instance, model):
        return _database_of_job(instance)
    return _written_to(model, instance)


def database_of_jobs(jobs: "models.QuerySet[ScheduledJob]") -> str:
    """Return the alias of the database of the jobs of a queryset.

    The queryset itself may read from a replica, as the manager of a `GenericRelation` does.

    Raises `InvalidJobs` if `jobs` is not a queryset of jobs.
    """
    _check_jobs(jobs)
    if jobs.db == _written_to(jobs.model, None):
        return jobs.db
    job = next(iter(jobs[:1]), None)
    return jobs.db if job is None else jobs_database(instance=job)


def _check_jobs(jobs: Any) -> None:
    if not isinstance(jobs, models.QuerySet):
        raise InvalidJobs(
            f"A value of type {remedies.kind_of(jobs)} is not a queryset of jobs. Pass one, such "
            "as ScheduledJob.objects.filter(pk__in=...). For a single job, call its own methods."
        )
    if jobs.model._meta.concrete_model is not apps.get_model("django_future", "ScheduledJob"):
        raise InvalidJobs(
            f"The queryset is of {jobs.model._meta.label}, not of jobs. To get the jobs of an "
            "object, call ScheduledJob.objects.for_object(...)."
        )


def object_database(instance: models.Model) -> str:
    """Return the alias of the database to which `instance` is saved."""
    return _written_to(type(instance), instance)


def stored_object_database(instance: models.Model) -> str | None:
    """Return the database alias to store for `instance`, or None if it is the routers' default."""
    alias = object_database(instance)
    return None if alias == _written_to(type(instance), None) else alias


def saved_objects(model: type[Row], stored_alias: str | None) -> models.QuerySet[Row]:
    """Return all objects of `model` in the database that `stored_object_database` returned.

    Raises `InvalidObject` if `DATABASES` does not have it any more.
    """
    alias = stored_alias or _written_to(model, None)
    if alias not in connections:
        raise InvalidObject(
            f"The object is in the database {alias!r}, which DATABASES does not have. Add it."
        )
    return model._base_manager.using(alias)


class RowsWithJobs(TypedQuerySet[Row]):
    """A queryset of rows of this package, which are never read from a replica."""

    @property
    def db(self) -> str:
        """The alias of the database of this queryset."""
        instance = self._hints.get("instance")  # type: ignore[attr-defined]
        return jobs_database(self._db, instance=instance)  # type: ignore[attr-defined]


def _database_of_job(job: "ScheduledJob") -> str:
    read_from, written_to = job._state.db, _written_to(type(job), job)
    if read_from is None or read_from == written_to:
        return written_to
    if job._state.adding or not _is_copied(job, read_from, written_to):
        return read_from
    return written_to


def _written_to(model: type[models.Model], instance: models.Model | None) -> str:
    hints = {} if instance is None else {"instance": instance}
    return router.db_for_write(model, **hints)


def _is_copied(job: "ScheduledJob", read_from: str, written_to: str) -> bool:
    """Return whether `read_from` is a replica of `written_to`, as far as `job` shows.

    If the router writes to another database than the job was read from, the job was read from a
    replica, or the project has passed `using`. A replica has the same row as its primary.
    """
    jobs = type(job)._base_manager
    created_at = jobs.using(read_from).filter(pk=job.pk).values_list("created_at", flat=True)
    return jobs.using(written_to).filter(pk=job.pk, created_at__in=list(created_at)).exists()
