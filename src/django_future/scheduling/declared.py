"""Synchronises the rows of recurring jobs with what the code declares."""

import logging
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from django.db import IntegrityError

from django_future import clock
from django_future.databases import jobs_database
from django_future.declarations import (
    Declaration,
    declarations,
    duplicates,
    fingerprint,
    import_declarations,
)
from django_future.exceptions import FutureError, InvalidOption
from django_future.models import AppliedDeclarations, RecurringJob
from django_future.options import unknown_option_message
from django_future.scheduling.recurring import write
from django_future.scheduling.recurring_columns import DeclaredArguments, build_recurring
from django_future.store import Store, store_for
from django_future.store import recurring as rows
from django_future.store.contention import write_transaction
from django_future.when import is_offset

logger = logging.getLogger("django_future")

NOT_DECLARED = "The code no longer declares it. Declare it again, or delete this row."


def synchronise(using: str | None = None, *, is_deploy: bool = False) -> None:
    """Apply the declarations of this code to the database, unless newer code has applied its own.

    `migrate` passes `is_deploy`, and always applies them. A worker applies only declarations that
    the database has never seen. So old code that starts during a deploy changes nothing.

    Mistakes are logged. They prevent neither the start nor the other declarations.
    """
    store = store_for(jobs_database(using))
    failed = list(import_declarations())
    for path, error in failed:
        logger.error(
            "%s, which may declare recurring jobs, cannot be imported", path, exc_info=error
        )
    found = _of_database(declarations(), store.alias)
    if failed:
        _apply(store, found, may_stop=False)
        return
    if not found and not RecurringJob.objects.using(store.alias).filter(is_declared=True).exists():
        return
    with suppress(IntegrityError):  # another process has just applied the same declarations
        _synchronise(store, found, is_deploy=is_deploy)


def faults() -> Iterator[tuple[str, str]]:
    """Yield each declaration, or module with declarations, that is not valid, and why."""
    for path, error in import_declarations():
        yield path, f"it cannot be imported: {error}"
    found = declarations()
    for name in sorted(duplicates(found)):
        yield repr(name), "two declarations have this name. Give each a name."
    for declaration in found:
        try:
            build_declared(declaration)
        except FutureError as error:
            yield str(declaration), str(error)


def build_declared(declaration: Declaration) -> RecurringJob:
    """Build the unsaved row of a declaration.

    Raises a `SchedulingError`.
    """
    arguments: dict[str, Any] = dict(declaration.arguments)
    for name in ("starts_at", "ends_at"):
        if is_offset(arguments.get(name)):
            raise InvalidOption(
                f"{name} is {arguments[name]!r}, which would count from each start of a process. "
                "Give a date and a time."
            )
    if not isinstance(declaration.callable_name, str):
        raise InvalidOption(
            f"callable is {declaration.callable_name!r}. Give the dotted path of a handler."
        )
    if unknown := arguments.keys() - DeclaredArguments.__annotations__.keys():
        remedy = " Only schedule_recurring() takes a content_object."
        message = unknown_option_message(unknown, DeclaredArguments, remedy)
        raise InvalidOption(f"For @recurring {message}")
    return build_recurring(
        declaration.name, declaration.callable_name, is_declared=True, **arguments
    )


def _synchronise(store: Store, found: list[Declaration], *, is_deploy: bool) -> None:
    known = AppliedDeclarations.objects.using(store.alias)
    own = fingerprint(found)
    latest = known.order_by("-applied_at").first()
    is_latest = latest is not None and latest.fingerprint == own
    if not is_deploy and is_latest:
        return
    if not is_deploy and known.filter(fingerprint=own).exists():
        logger.warning(
            "This process declares other recurring jobs than the code that was deployed last. If "
            "that was rolled back, run `manage.py migrate`"
        )
        return
    with write_transaction(store):
        if not known.filter(fingerprint=own).update(applied_at=clock.to_row(store.now())):
            # Waits for a rival that inserts the same, and then raises IntegrityError.
            known.create(fingerprint=own, applied_at=clock.to_row(store.now()))
        _apply(store, found, may_stop=True)


def _apply(store: Store, found: list[Declaration], *, may_stop: bool) -> None:
    twice = duplicates(found)
    for declaration in found:
        if str(declaration.name) in twice:
            logger.error("Two declarations have the name %s. Give each a name", declaration)
            continue
        try:
            _write(store, declaration)
        except FutureError as error:
            logger.error("The declared recurring job %s is not valid: %s", declaration, error)  # noqa: TRY400
    if may_stop:
        names = {str(declaration.name) for declaration in found}
        declared = RecurringJob.objects.using(store.alias).filter(is_declared=True)
        for row in declared.exclude(name__in=names):
            _stop(store, row)


def _write(store: Store, declaration: Declaration) -> None:
    wanted = build_declared(declaration)
    wanted._state.db = store.alias
    row = RecurringJob.objects.using(store.alias).filter(name=wanted.name).first()
    if row is not None and not row.is_declared:
        raise InvalidOption(
            "A recurring job of this name was created by a person or by schedule_recurring(), and "
            "is not changed. Give the declaration another name, or delete that row."
        )
    write(wanted)


def _stop(store: Store, row: RecurringJob) -> None:
    if row.error == NOT_DECLARED:
        return
    with write_transaction(store):
        locked = rows.lock_one(store, pk=row.pk)
        if locked is not None:
            rows.take_back(store, locked)
            locked.next_run_at = locked.queued_at = None
            locked.error = NOT_DECLARED
            locked.save(using=store.alias, update_fields=["next_run_at", "queued_at", "error"])


def _of_database(found: list[Declaration], alias: str) -> list[Declaration]:
    return [item for item in found if jobs_database(item.arguments.get("using")) == alias]
