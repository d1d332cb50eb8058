"""One claimed job to its outcome: resolve, call and finish in one transaction, or else fail."""

import inspect
import logging
import traceback
from asyncio import CancelledError
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from asgiref.sync import async_to_sync, iscoroutinefunction
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db import router
from django.db.models import Model

from django_future import clock, handlers, maintenance, signals
from django_future.arguments import Stored, encode
from django_future.exceptions import (
    HandlerExited,
    HandlerUnknown,
    InvalidArguments,
    LeaseLost,
    ObjectGone,
)
from django_future.models import ScheduledJob
from django_future.status import Status
from django_future.store import Session, Store
from django_future.store.leaving import leave

logger = logging.getLogger("django_future")

Finish = Callable[[ScheduledJob], None]


@dataclass(frozen=True)
class Outcome:
    """What became of one execution: `exception` is None if the job is complete.

    `is_lost` says that the job was no longer this worker's, so its end is for another to tell;
    `is_left` that its handler is unknown here, so it is scheduled again for who knows it.
    """

    job: ScheduledJob
    exception: Exception | None = None
    is_lost: bool = False
    is_left: bool = False


def execute(
    job: ScheduledJob, session: Session, *, keep: bool = True, gather: Finish | None = None
) -> Outcome:
    """Run a claimed job and record what became of it; `keep=False` deletes it once complete.

    With `gather`, a job is handed to it that is complete and asked its database nothing. Its end
    is recorded by `finish_together`.
    """
    store = session.store
    job.started_at = clock.to_row(store.now())
    if signals.job_started.receivers:
        session.rest()
        signals.job_started.send_robust(ScheduledJob, job=job)
    try:
        if job.rescues:
            session.rest()
            store.note_start(job)
        exception = _attempt(job, session, store.finish if keep else store.discard, gather)
        if exception is not None:
            if outcome := _put_back(job, session, exception):
                return outcome
            store.fail(job, _printable(exception))
    except LeaseLost as error:
        signals.job_lost.send_robust(ScheduledJob, job=job)
        return Outcome(job, error, is_lost=True)
    except BaseException:
        # Ctrl-C, or the database is out of reach: the job was interrupted, it has not failed.
        store.release(job)
        raise
    if gather is not None and job.status == Status.RUNNING:
        gather(job)
    else:
        signals.job_finished.send_robust(ScheduledJob, job=job, exception=exception)
    return Outcome(job, exception)


def finish_together(jobs: Sequence[ScheduledJob], store: Store) -> None:
    """Record the end of gathered jobs."""
    lost = store.finish_all(jobs)
    for job in lost:
        signals.job_lost.send_robust(ScheduledJob, job=job)
    for job in jobs:
        if job not in lost:
            job.status = Status.COMPLETE
            signals.job_finished.send_robust(ScheduledJob, job=job, exception=None)


def call(job: ScheduledJob) -> Any:
    """Call the handler of a job with its arguments, and return what it returns."""
    content_object, handler = _resolve(job)
    args, kwargs = list(job.args), dict(job.kwargs)
    if content_object is not None and "." in job.callable_name:
        args.insert(0, content_object)
    if handlers.takes_job(handler):
        args.insert(0, job)
    call = async_to_sync(handler) if iscoroutinefunction(handler) else handler
    try:
        return call(*args, **kwargs)
    except TypeError:
        _check_signature(job, handler, args, kwargs)
        raise


def stored(result: Any) -> Stored | None:
    """Return what is kept of what a handler returned."""
    if result is None:
        return None
    try:
        return encode(result)
    except Exception:  # noqa: BLE001 - whatever it is, a result is no reason to undo the work
        return encode(repr(result))


def _attempt(
    job: ScheduledJob, session: Session, finish: Finish, gather: Finish | None
) -> Exception | None:
    try:
        with session:
            job.return_value = stored(call(job))
            job.finished_at = clock.to_row(session.store.now())
            # Where nothing was written there is nothing to commit with: to write many such ends
            # at once is as good, and takes a fraction of the time.
            if gather is None or session.was_asked():
                session.finish(job, finish)
    except LeaseLost:
        raise
    except (SystemExit, CancelledError) as error:
        exited = HandlerExited(f"The handler raised {error!r}, which would have ended its worker.")
        exited.__cause__ = error
        return exited
    except Exception as error:
        if not session.is_committed:
            return error
        logger.exception("Job %s is complete, but a hook of its on_commit raised", job.pk)
    return None


def _put_back(job: ScheduledJob, session: Session, exception: Exception) -> Outcome | None:
    """Put back a job that has not failed though there is an exception."""
    if session.is_lost():
        # Whether the commit was reached nobody knows. If so, there is nothing to rescue.
        maintenance.rescue_job(job, session.store, "The connection to the database broke")
        return Outcome(job, exception, is_lost=True)
    if isinstance(exception, HandlerUnknown) and exception.job is job:
        text = f"Worker {job.worker} does not know {job.callable_name!r}: {exception}"
        leave(session.store, job, _storable(f"{text} It is left for a worker that does."))
        signals.job_left.send_robust(ScheduledJob, job=job, exception=exception)
        return Outcome(job, exception, is_left=True)
    return None


def _resolve(job: ScheduledJob) -> tuple[Model | None, handlers.Handler]:
    try:
        content_object = _content_object(job)
        return content_object, handlers.resolve(job.callable_name, content_object)
    except HandlerUnknown as unknown:
        # Handlers schedule jobs, too, and may raise it of others.
        unknown.job = job
        raise


def _content_object(job: ScheduledJob) -> Model | None:
    if job.object_id is None or job.content_type_id is None:
        return None
    alias = job._state.db
    content_type = ContentType.objects.db_manager(alias).get_for_id(job.content_type_id)
    model = content_type.model_class()
    if model is None:
        name = ".".join(content_type.natural_key())
        raise HandlerUnknown(f"The model {name} of the content object is not installed.")
    try:
        found = model._base_manager.using(router.db_for_read(model, instance=job)).get(
            pk=job.object_id
        )
    except (ObjectDoesNotExist, ValueError, ValidationError) as error:
        raise ObjectGone(f"The content object, {content_type} {job.object_id}, is gone.") from error
    ScheduledJob._meta.get_field("content_object").set_cached_value(job, found)
    return found


def _check_signature(
    job: ScheduledJob, handler: handlers.Handler, args: list[Any], kwargs: dict[str, Any]
) -> None:
    try:
        inspect.signature(handler).bind(*args, **kwargs)
    except TypeError as error:
        raise InvalidArguments(
            f"{job.callable_name} does not accept the arguments of this job: {error}."
        ) from error


def _printable(exception: Exception) -> str:
    return _storable("".join(traceback.format_exception(exception)))


def _storable(text: str) -> str:
    # PostgreSQL takes neither NUL nor half a surrogate pair.
    return text.replace("\0", "\\0").encode(errors="backslashreplace").decode()
