"""Backends with faults in results."""

from dataclasses import replace
from threading import Lock, get_ident
from typing import Any, ClassVar
from unittest import mock

from django.utils import timezone

from django_future.conformance.compat import (
    TASKS_CAN_BE_PICKLED,
    TaskResultDoesNotExist,
)
from tests.conformance.memory import ROWS, MemoryBackend, unvalidated
from tests.conformance.mutants.finders import found_by


@found_by("a_new_result_is_ready", "a_task_waits_until_it_runs")
class RunsAtOnce(MemoryBackend):
    def enqueue(self, task, args, kwargs):
        result = super().enqueue(task, args, kwargs)
        self.run_due()
        return self.get_result(result.id)


@found_by("the_id_is_a_short_text")
class NumbersAsIds(MemoryBackend):
    def enqueue(self, task, args, kwargs):
        result = super().enqueue(task, args, kwargs)
        row = ROWS.pop(result.id)
        row.id = int(row.id.partition("-")[2])
        ROWS[row.id] = row
        return self.result_of(row)


@found_by("a_task_does_not_find_an_unknown_id", "an_unknown_id_is_not_found_in_an_async_context")
class StripsIds(MemoryBackend):
    def get_result(self, result_id):
        return super().get_result(result_id.strip())


@found_by("the_backend_does_not_find_an_unknown_id")
class RaisesKeyError(MemoryBackend):
    def get_result(self, result_id):
        return self.result_of(ROWS[result_id])


@found_by("a_task_finds_its_result", "the_result_has_the_task")
class ForgetsTheFunction(MemoryBackend):
    def result_of(self, row):
        return super().result_of(replace(row, task=unvalidated(row.task, func=len)))


@found_by("a_task_does_not_find_the_result_of_another_task")
class TakesAnyFunction(MemoryBackend):
    def get_result(self, result_id):
        row = ROWS.get(result_id) or ROWS["unknown"]
        return self.result_of(replace(row, task=unvalidated(row.task, func=mock.ANY)))


@found_by("a_found_result_has_the_task", "a_found_result_has_the_task_with_priority_and_time")
class ForgetsUsing(MemoryBackend):
    def get_result(self, result_id):
        result = super().get_result(result_id)
        plain = unvalidated(result.task, priority=0, run_after=None, queue_name="default")
        object.__setattr__(result, "task", plain)
        return result


@found_by("the_result_has_the_alias_of_the_backend")
class SaysDefault(MemoryBackend):
    def result_of(self, row):
        result = super().result_of(row)
        object.__setattr__(result, "backend", "default")
        return result


@found_by("a_result_does_not_change_by_itself")
class LiveResults(MemoryBackend):
    results: ClassVar[dict[str, Any]] = {}

    def result_of(self, row):
        fresh = super().result_of(row)
        result = self.results.setdefault(row.id, fresh)
        for name in ("status", "_return_value", "errors", "worker_ids", *self.times):
            object.__setattr__(result, name, getattr(fresh, name))
        return result


@found_by("another_thread_finds_a_result", "a_task_that_another_thread_has_enqueued_runs")
class OneThread(MemoryBackend):
    threads: ClassVar[dict[str, int]] = {}

    def enqueue(self, task, args, kwargs):
        result = super().enqueue(task, args, kwargs)
        self.threads[result.id] = get_ident()
        return result

    def get_result(self, result_id):
        if self.threads.get(result_id, get_ident()) != get_ident():
            raise TaskResultDoesNotExist(result_id)
        return super().get_result(result_id)


@found_by("the_result_has_the_arguments")
class HidesArguments(MemoryBackend):
    def result_of(self, row):
        result = super().result_of(row)
        object.__setattr__(result, "args", [])
        return result


@found_by("enqueued_at_stays")
class EnqueuedAtMoves(MemoryBackend):
    def start(self, row):
        super().start(row)
        row.enqueued_at = timezone.now()


@found_by("the_times_of_a_success_follow_each_other", "the_times_of_a_failure_follow_each_other")
class NoEnd(MemoryBackend):
    def finish(self, row, status):
        super().finish(row, status)
        row.finished_at = None


@found_by("the_last_attempt_of_one_is_the_first")
class NoLastAttempt(MemoryBackend):
    def start(self, row):
        super().start(row)
        row.last_attempted_at = None


@found_by("a_time_far_ahead_is_kept")
class FarIsNever(MemoryBackend):
    def get_result(self, result_id):
        result = super().get_result(result_id)
        if result.task.run_after and result.task.run_after.year > 2999:
            object.__setattr__(result, "task", unvalidated(result.task, run_after=None))
        return result


@found_by("a_time_in_a_repeated_hour_is_kept")
class ForgetsTheFold(MemoryBackend):
    def get_result(self, result_id):
        result = super().get_result(result_id)
        if result.task.run_after:
            when = result.task.run_after.replace(fold=0)
            object.__setattr__(result, "task", unvalidated(result.task, run_after=when))
        return result


@found_by("the_id_is_unique", "a_task_can_be_enqueued_many_times")
class OneId(MemoryBackend):
    def enqueue(self, task, args, kwargs):
        result = super().enqueue(task, args, kwargs)
        row = ROWS.pop(result.id)
        row.id = task.name
        ROWS[row.id] = row
        return self.result_of(row)


@found_by("enqueue_returns_a_result", "the_backend_enqueues_a_task_with_its_arguments")
class ReturnsTheId(MemoryBackend):
    def enqueue(self, task, args, kwargs):
        return super().enqueue(task, args, kwargs).id


@found_by("aenqueue_is_a_variant_of_enqueue", "a_task_runs_after_aenqueue")
class NeverEnqueuesAsync(MemoryBackend):
    async def aenqueue(self, task, args, kwargs):
        return object()


@found_by("the_backend_finds_a_result_in_an_async_context", "arefresh_updates_a_result")
class NeverFindsAsync(MemoryBackend):
    async def aget_result(self, result_id):
        raise TaskResultDoesNotExist(result_id)


@found_by("enqueued_at_is_the_time_of_the_call", "times_are_aware_if_use_tz_is_true")
class NaiveTimes(MemoryBackend):
    def result_of(self, row):
        result = super().result_of(row)
        for name in ("enqueued_at", *self.times):
            time = getattr(result, name)
            object.__setattr__(result, name, time and time.replace(tzinfo=None))
        return result


if TASKS_CAN_BE_PICKLED:

    @found_by("a_new_result_can_be_pickled", "a_finished_result_can_be_pickled")
    class KeepsALock(MemoryBackend):
        def result_of(self, row):
            result = super().result_of(row)
            object.__setattr__(result, "kwargs", {"lock": Lock()})
            return result
