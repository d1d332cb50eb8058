"""Synchronises the rows of recurring jobs with what the code declares."""

import logging
from collections import Counter
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from hashlib import sha256
from typing import Any, NamedTuple

from django.db import IntegrityError, connections, transaction
from django.db.models import Q

from django_future import clock, handlers
from django_future.databases import jobs_database
from django_future.declarations import Declaration, declarations, import_declarations
from django_future.exceptions import FutureError, InvalidCallable, InvalidOption
from django_future.models import AppliedDeclarations, RecurringJob
from django_future.models.recurring import NOT_DECLARED
from django_future.options import unknown_option_message
from django_future.scheduling.recurring import write
from django_future.scheduling.recurring_columns import COLUMNS, DeclaredArguments, build_recurring
from django_future.scheduling.validation import describe_missing
from django_future.store import Store, store_for
from django_future.store import recurring as rows
from django_future.store.contention import with_retries, write_transaction
from django_future.when import is_offset

logger = logging.getLogger("django_future")


def synchronise(using: str | None = None, *, is_deploy: bool = False) -> None:
    """Apply the declarations of this code to the database, unless newer code has applied its own.

    `migrate` passes `is_deploy`, and always applies them. A worker applies only declarations that
    the database has never seen. So old code that starts during a deploy changes nothing.

    Mistakes are logged. They prevent neither the start nor the other declarations.
    """
    store = store_for(jobs_database(using))
    _import_declared_handlers(store.alias)
    wanted = _read(store.alias)
    for fault in wanted.faults:
        logger.error(fault.text, exc_info=fault.error)
    if not is_deploy and not _is_new(store, wanted):
        return
    apply = partial(_apply, store, wanted, is_deploy=is_deploy)
    # Inside a transaction of the caller, a deadlock also rolls back the statements before it.
    apply() if store.connection.in_atomic_block else with_retries(store, apply)


def faults() -> list[str]:
    """Return what is wrong with the declarations, and with the modules that may contain them."""
    found = (fault.text for alias in connections for fault in _read(alias).faults)
    return list(dict.fromkeys(found))


def foreseen(callable_name: str, using: str | None = None) -> tuple[list[RecurringJob], list[str]]:
    """Return the recurring jobs of a handler as they are after `synchronise()`, and its faults.

    Those that `synchronise()` would insert or change are not saved.
    """
    alias = jobs_database(using)
    wanted = _read(alias)
    found = {row.name: row for row in RecurringJob.objects.using(alias).order_by("name")}
    for name, row in wanted.rows.items():
        current = found.get(name)
        if current is None or (current.is_declared and _differs(current, row)):
            found[name] = row
    for row in found.values():
        if wanted.stops(row):
            row.error = NOT_DECLARED
    own = [row for row in found.values() if row.callable_name == callable_name]
    faults = [fault for fault in wanted.faults if callable_name in fault.callables]
    return own, [fault.text for fault in faults]


def _differs(current: RecurringJob, wanted: RecurringJob) -> bool:
    return any(vars(current)[name] != vars(wanted)[name] for name in COLUMNS)


def _import_declared_handlers(alias: str) -> None:
    # A declaration in another module than `jobs` and `tasks` is known only in a process that has
    # imported its module. Otherwise one process would apply it, and the next one would stop it.
    for row in RecurringJob.objects.using(alias).filter(is_declared=True):
        if row.is_signed:
            with suppress(InvalidCallable):
                handlers.resolve(row.callable_name, None)


class _Fault(NamedTuple):
    text: str
    callables: list[Any]
    error: BaseException | None = None  # whose traceback is logged


@dataclass
class _Wanted:
    """What the code declares for one database."""

    rows: dict[str, RecurringJob] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)  # also of declarations that are not valid
    failed_modules: list[str] = field(default_factory=list)
    faults: list[_Fault] = field(default_factory=list)

    @property
    def fingerprint(self) -> str:
        """A text that identifies what would be written."""
        # Not the text of the arguments, which may contain an address of an object, or follow a
        # setting, such as the time zone.
        texts = sorted(
            repr([(name, vars(row)[name]) for name in ("name", *sorted(COLUMNS))])
            for row in self.rows.values()
        )
        parts = (sorted(self.names), texts, sorted(self.failed_modules))
        return sha256(repr(parts).encode()).hexdigest()

    def stops(self, row: RecurringJob) -> bool:
        """Return whether the code no longer declares a recurring job that it has declared."""
        # A module that cannot be imported may still declare it.
        return row.is_declared and row.name not in self.names and not self.failed_modules


def _read(alias: str) -> _Wanted:
    wanted = _Wanted()
    failed = import_declarations()
    for path, error in failed.items():
        wanted.failed_modules.append(path)
        text = f"{path}, which may declare recurring jobs, cannot be imported: {_described(error)}"
        wanted.faults.append(_Fault(text, [], error))
    found = [item for item in declarations() if _database_of(item) in {alias, None}]
    counts = Counter(str(declaration.name) for declaration in found)
    wanted.names = set(counts)
    for name in sorted(name for name, count in counts.items() if count > 1):
        same = [item for item in found if str(item.name) == name]
        listed = ", ".join(map(str, same))
        text = f"Recurring jobs are declared with the same name: {listed}. Give each a name."
        wanted.faults.append(_Fault(text, [item.callable for item in same]))
    for declaration in found:
        # A module that has failed would be executed again.
        is_importable = str(declaration.callable).rpartition(".")[0] not in failed
        if is_importable and counts[str(declaration.name)] == 1:
            _add(wanted, declaration)
    return wanted


def _database_of(declaration: Declaration) -> str | None:
    """Return the database of a declaration; None if there is no such database."""
    try:
        return jobs_database(declaration.arguments.get("using"))
    except InvalidOption:
        return None


def _add(wanted: _Wanted, declaration: Declaration) -> None:
    cause = None
    try:
        row = _build(declaration)
    except FutureError as error:
        reason = str(error)
    except Exception as error:  # noqa: BLE001 - the values of a declaration may be of any type
        reason, cause = _described(error), error
    else:
        wanted.rows[row.name] = row
        return
    text = f"The declaration of the recurring job {declaration} is not valid: {reason}"
    wanted.faults.append(_Fault(text, [declaration.callable], cause))


def _build(declaration: Declaration) -> RecurringJob:
    arguments: dict[str, Any] = dict(declaration.arguments)
    if declaration.callable is None:
        fault = describe_missing(["callable"], arguments)
        raise InvalidCallable(f"The entry of DJANGO_FUTURE['RECURRING'] {fault}")
    for name in ("starts_at", "ends_at"):
        if is_offset(arguments.get(name)):
            raise InvalidOption(
                f"{name} is {arguments[name]!r}, which would count from each start of a process. "
                "Give a date and a time."
            )
    if unknown := arguments.keys() - DeclaredArguments.__annotations__.keys():
        remedy = f" Pass an argument of the handler as kwargs={{{min(unknown)!r}: ...}}."
        if "content_object" in unknown:
            remedy = " Only schedule_recurring() takes a content_object."
        message = unknown_option_message(unknown, DeclaredArguments, remedy)
        raise InvalidOption(f"For @recurring {message}")
    return build_recurring(declaration.name, declaration.callable, is_declared=True, **arguments)


def _described(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".rstrip(".") + "."


def _is_new(store: Store, wanted: _Wanted) -> bool:
    """Return whether declarations were never applied; log it if others replaced them since."""
    known = AppliedDeclarations.objects.using(store.alias).order_by("applied_at")
    fingerprints = list(known.values_list("fingerprint", flat=True))
    if wanted.fingerprint not in fingerprints:
        return True
    if wanted.fingerprint != fingerprints[-1] and _are_replaced(store, wanted):
        logger.warning(
            "This process declares other recurring jobs than the code that was deployed last, and "
            "does not apply them. If this code is the current one, run `manage.py migrate`."
        )
    return False


def _are_replaced(store: Store, wanted: _Wanted) -> bool:
    declared = RecurringJob.objects.using(store.alias).filter(is_declared=True)
    current = {row.name: row for row in declared if row.error != NOT_DECLARED}
    are_equal = all(
        name in current and not _differs(current[name], row) for name, row in wanted.rows.items()
    )
    return not are_equal or any(wanted.stops(row) for row in current.values())


def _apply(store: Store, wanted: _Wanted, *, is_deploy: bool) -> None:
    with write_transaction(store):
        if not _record(store, wanted.fingerprint, is_deploy=is_deploy):
            return  # a rival has just applied the same
        found = Q(name__in=wanted.rows) | Q(is_declared=True)
        current = {row.name: row for row in RecurringJob.objects.using(store.alias).filter(found)}
        for name, row in wanted.rows.items():
            if name in current and not current[name].is_declared:
                logger.error(
                    "The recurring job %r was created by a person or by schedule_recurring(), so "
                    "the declaration of this name does not change it. Give the declaration another "
                    "name, or delete that row",
                    name,
                )
            else:
                write(copy(row))  # a copy, because the transaction may be repeated
        for row in current.values():
            if wanted.stops(row):
                _stop(store, row)


def _record(store: Store, fingerprint: str, *, is_deploy: bool) -> bool:
    """Record that declarations are the latest; False if a rival has just applied them."""
    known = AppliedDeclarations.objects.using(store.alias)
    # Locks all rows until the transaction ends. A rival, also one with other code, waits.
    list(known.order_by("pk").select_for_update())
    applied: dict[str, datetime] = dict(known.values_list("fingerprint", "applied_at"))
    if fingerprint in applied and not is_deploy:
        return False
    # Later than all others, even if a clock was set back, or without USE_TZ an hour is repeated.
    later = (applied_at + datetime.resolution for applied_at in applied.values())
    applied_at = max([clock.to_row(store.now()), *later])
    if fingerprint in applied:
        known.filter(fingerprint=fingerprint).update(applied_at=applied_at)
        return True
    try:
        with transaction.atomic(using=store.alias):
            # Without a row to lock, this waits for a rival that has inserted the first one.
            known.create(fingerprint=fingerprint, applied_at=applied_at)
    except IntegrityError:
        return False
    return True


def _stop(store: Store, row: RecurringJob) -> None:
    if row.error == NOT_DECLARED and row.next_run_at is None:
        return
    locked = rows.lock_one(store, pk=row.pk)
    if locked is None:
        return
    if taken := rows.take_back(store, locked):
        locked.runs = max(locked.runs - len(taken), 0)
        locked.last_run_at = rows.last_run_at(store, locked)
    locked.next_run_at = locked.queued_at = None
    locked.error = NOT_DECLARED
    changed = ["runs", "last_run_at", "next_run_at", "queued_at", "error"]
    locked.save(using=store.alias, update_fields=changed)
