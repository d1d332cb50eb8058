"""Promises about `run_after`."""

from datetime import UTC, timedelta, timezone
from zoneinfo import ZoneInfo

from django.conf import settings

from django_future.conformance.compat import AnyResult, TaskResultStatus
from django_future.conformance.helpers import Helpers

ZONES = [
    UTC,
    timezone(timedelta(hours=14)),
    timezone(timedelta(hours=-12)),
    timezone(timedelta(hours=5, minutes=45)),
    ZoneInfo("America/New_York"),
    ZoneInfo("Australia/Lord_Howe"),
]


class DeferralPromises(Helpers):
    """A task never runs before `run_after`, and runs afterwards."""

    def assert_waits(self, result: AnyResult) -> None:
        """Fail if the task runs before its time, or not after it."""
        self.require("executes_tasks", "supports_get_result")
        self.run_due()
        self.assertEqual(self.now(result).status, TaskResultStatus.READY)
        self.assertEqual(self.now(result).attempts, 0)
        with self.pass_time(2 * self.deferral):
            self.run_due()
        self.assert_succeeded(self.now(result))

    def test_a_deferred_task_is_ready(self) -> None:
        """It has just been enqueued. (ref/tasks, TaskResultStatus.READY)"""
        self.require("supports_defer")
        result = self.tasks.answer.using(run_after=self.after(self.deferral)).enqueue()
        self.assertEqual(result.status, TaskResultStatus.READY)

    def test_a_task_runs_after_run_after_and_not_before(self) -> None:
        """It is the earliest time. (ref/tasks, Task.run_after)"""
        self.require("supports_defer")
        self.assert_waits(self.tasks.answer.using(run_after=self.after(self.deferral)).enqueue())

    def test_a_task_runs_at_once_if_run_after_has_passed(self) -> None:
        """It is the earliest time. (ref/tasks, Task.run_after)"""
        self.require("supports_defer")
        for duration in (timedelta(seconds=1), timedelta(days=365)):
            with self.subTest(duration):
                self.assert_returns(42, self.tasks.answer.using(run_after=self.after(-duration)))

    def test_run_after_may_be_in_any_time_zone(self) -> None:
        """It can be any aware datetime. (ref/tasks, Task.run_after)"""
        self.require("supports_defer")
        if not settings.USE_TZ:
            self.skipTest("USE_TZ is false.")
        instant = self.after(self.deferral)
        for zone in ZONES:
            moved = self.tasks.answer.using(run_after=instant.astimezone(zone))
            with self.subTest(str(zone)):
                self.assertEqual(moved.enqueue().task.run_after, instant)

    def test_a_task_waits_for_run_after_in_any_time_zone(self) -> None:
        """It can be any aware datetime. (ref/tasks, Task.run_after)"""
        self.require("supports_defer", "executes_tasks", "supports_get_result")
        if not settings.USE_TZ:
            self.skipTest("USE_TZ is false.")
        instant = self.after(self.deferral)
        for zone in ZONES:
            with self.subTest(str(zone)):
                moved = self.tasks.answer.using(run_after=instant.astimezone(zone))
                self.assert_waits(moved.enqueue())

    def test_a_task_does_not_wait_for_the_past_of_any_time_zone(self) -> None:
        """It can be any aware datetime. (ref/tasks, Task.run_after)"""
        self.require("supports_defer", "executes_tasks", "supports_get_result")
        if not settings.USE_TZ:
            self.skipTest("USE_TZ is false.")
        instant = self.after(timedelta(seconds=-1))
        for zone in ZONES:
            with self.subTest(str(zone)):
                moved = self.tasks.answer.using(run_after=instant.astimezone(zone))
                self.assert_returns(42, moved)

    def test_run_after_may_be_a_timedelta(self) -> None:
        """It is relative to the current time. (ref/tasks, Task.run_after)"""
        self.require("supports_defer")
        result = self.tasks.answer.using(run_after=self.deferral).enqueue()
        if self.executes_tasks and self.backend.supports_get_result:
            self.assert_waits(result)

    def test_a_high_priority_does_not_hasten_a_deferred_task(self) -> None:
        """It is the earliest time. (ref/tasks, Task.run_after)"""
        self.require("supports_defer", "supports_priority")
        moved = self.tasks.answer.using(priority=100, run_after=self.after(self.deferral))
        self.assert_waits(moved.enqueue())

    def test_a_deferred_task_does_not_hold_up_the_others(self) -> None:
        """It is only its own constraint. (ref/tasks, Task.run_after)"""
        self.require("supports_defer")
        self.tasks.answer.using(run_after=self.after(self.deferral)).enqueue()
        self.assert_returns("text", self.tasks.echo, "text")

    def test_a_deferred_coroutine_waits(self) -> None:
        """It is the earliest time. (ref/tasks, Task.run_after)"""
        self.require("supports_defer", "supports_async_task")
        deferred = self.coroutines.echo.using(run_after=self.after(self.deferral))
        self.assert_waits(deferred.enqueue("text"))

    def test_the_result_keeps_run_after(self) -> None:
        """The Task is the one that was enqueued. (ref/tasks, TaskResult.task)"""
        self.require("supports_defer", "supports_get_result")
        instant = self.after(self.deferral)
        result = self.tasks.answer.using(run_after=instant).enqueue()
        self.assertEqual(self.now(result).task.run_after, instant)
        self.assertIsNone(self.now(self.tasks.answer.enqueue()).task.run_after)
