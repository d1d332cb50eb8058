"""Customs about what goes wrong: odd values and errors, queues and code that are gone."""

import asyncio
import json
import math
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.test import override_settings

from django_future.conformance.compat import TaskResultDoesNotExist, TaskResultStatus
from django_future.conformance.helpers import Helpers
from django_future.conformance.hooks import DEFAULT, QUEUE, SECOND
from django_future.conformance.values import deep, portrait


class ValueCustoms(Helpers):
    """Values that JSON knows and databases may not."""

    def test_a_text_with_a_nul_arrives(self) -> None:
        """json.dumps() knows it. (custom: Immediate)"""
        self.assert_returns(portrait("a\0b"), self.tasks.portray, "a\0b")

    def test_a_text_with_half_a_character_arrives(self) -> None:
        """json.dumps() knows it. (custom: Immediate)"""
        self.assert_returns(ascii("\ud800"), self.tasks.represent, "\ud800")

    def test_what_is_no_number_arrives_or_is_refused(self) -> None:
        """It does not disappear later. (custom: Immediate)"""
        self.require("executes_tasks")
        accepted = []
        for value in (math.nan, math.inf, -math.inf):
            with suppress(Exception):
                accepted.append((value, self.tasks.portray.enqueue(value)))
        self.run_due()
        for value, result in accepted:
            with self.subTest(value):
                self.assertEqual(self.now(result).return_value, portrait(value))

    def test_the_order_of_keys_arrives(self) -> None:
        """json.dumps() keeps it. (custom: Immediate)"""
        value = {"z": 1, "a": {"y": 2, "b": 3}, "m": 4}
        self.assert_returns(json.dumps(value), self.tasks.dump, value)

    def test_a_value_of_a_hundred_levels_arrives(self) -> None:
        """json.dumps() knows it. (custom: Immediate)"""
        self.assert_returns(portrait(deep(100)), self.tasks.portray, deep(100))

    def test_a_time_far_ahead_is_kept(self) -> None:
        """No date stands for another. (custom: most backends)"""
        self.require("supports_defer", "supports_get_result")
        zone = UTC if settings.USE_TZ else None
        for year in (2100, 9000):
            far = datetime(year, 1, 1, tzinfo=zone)
            with self.subTest(year=year):
                result = self.tasks.answer.using(run_after=far).enqueue()
                self.run_due()
                found = self.now(result)
                self.assertEqual((found.status, found.task.run_after), ("READY", far))

    def test_a_time_in_a_repeated_hour_is_kept(self) -> None:
        """An instant does not depend on the clock of a place. (custom: most backends)"""
        self.require("supports_defer", "supports_get_result")
        if not settings.USE_TZ:
            self.skipTest("USE_TZ is false.")
        first = datetime(2090, 10, 29, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"))
        second = first.replace(fold=1)
        self.assertEqual(second.astimezone(UTC) - first.astimezone(UTC), timedelta(hours=1))
        for instant in (first, second):
            result = self.tasks.answer.using(run_after=instant).enqueue()
            found = self.now(result).task.run_after
            self.assertIsNotNone(found)
            self.assertEqual(found.astimezone(UTC), instant.astimezone(UTC))  # type: ignore[union-attr]


class ErrorCustoms(Helpers):
    """Errors that are hard to store."""

    def test_an_error_without_a_text_is_stored(self) -> None:
        """The worker survives its __str__(). (custom: Immediate)"""
        self.assert_failed(self.run_task(self.tasks.fail_with, "Mute"), self.tasks.Mute)

    def test_a_cancelled_task_has_failed(self) -> None:
        """CancelledError is an exception. (custom: Immediate)"""
        result = self.run_task(self.tasks.fail_with, "CancelledError")
        self.assert_failed(result, asyncio.CancelledError)

    def test_an_error_with_a_nul_is_stored(self) -> None:
        """It may quote a file. (custom: Immediate)"""
        self.assert_failed(self.run_task(self.tasks.fail_oddly, "NUL"), self.tasks.Refusal)

    def test_an_error_with_half_a_character_is_stored(self) -> None:
        """It may quote the name of a file. (custom: Immediate)"""
        self.assert_failed(self.run_task(self.tasks.fail_oddly, "half"), self.tasks.Refusal)

    def test_a_long_error_is_stored(self) -> None:
        """It may quote a file. (custom: Immediate)"""
        self.assert_failed(self.run_task(self.tasks.fail_oddly, "long"), self.tasks.Refusal)

    def test_the_traceback_has_the_cause(self) -> None:
        """As Python prints it. (custom: Immediate)"""
        (error,) = self.run_task(self.tasks.fail_from_a_cause).errors
        self.assertIn("ValueError: invalid literal", error.traceback)
        self.assertIn("Refusal: the effect", error.traceback)

    def test_times_are_aware_if_use_tz_is_true(self) -> None:
        """As the times of models are. (custom: Immediate)"""
        result = self.run_task(self.tasks.answer)
        times = (result.enqueued_at, result.started_at, result.finished_at)
        self.assertEqual({each.tzinfo is not None for each in times if each}, {settings.USE_TZ})


class GoneCustoms(Helpers):
    """A queue or a function that exists no longer."""

    def test_the_result_of_a_finished_task_is_found_after_its_queue_is_gone(self) -> None:
        """get_result() raises TaskResultDoesNotExist at most. (custom: ref/tasks lists no more)"""
        self.require("supports_get_result")
        result = self.run_task(self.tasks.answer.using(queue_name=QUEUE))
        with self.reconfigured(QUEUES=[DEFAULT]):
            found = self.backend.get_result(result.id)
        self.assertEqual(found.return_value, 42)

    def test_the_result_of_a_finished_task_is_found_or_not_after_its_code_is_gone(self) -> None:
        """get_result() raises TaskResultDoesNotExist at most. (custom: ref/tasks lists no more)"""
        self.require("supports_get_result", "executes_tasks")
        with self.module_outside_the_apps() as module:
            result = self.run_task(module.answer)
        try:
            found = self.backend.get_result(result.id)
        except TaskResultDoesNotExist:
            return
        self.assertEqual(found.return_value, 42)

    def test_a_waiting_task_whose_queue_is_gone_does_not_stop_the_others(self) -> None:
        """It waits, or fails alone. (custom: django-ox)"""
        self.require("supports_get_result", "executes_tasks", "lets_tasks_wait")
        self.tasks.answer.using(queue_name=QUEUE).enqueue()
        with self.reconfigured(QUEUES=[DEFAULT]):
            self.assert_returns("text", self.tasks.echo, "text")

    def test_a_waiting_task_whose_code_is_gone_does_not_stop_the_others(self) -> None:
        """It waits, or fails alone. (custom: django-tasks-db, django-ox)"""
        self.require("supports_get_result", "executes_tasks", "lets_tasks_wait")
        with self.module_outside_the_apps() as module:
            module.answer.enqueue()
        self.assert_returns("text", self.tasks.echo, "text")


class AliasCustoms(Helpers):
    """Two aliases of one backend, with OPTIONS of their own."""

    def reconfigured_pair(
        self, first: Mapping[str, Any], second: Mapping[str, Any]
    ) -> override_settings:
        """Give the two aliases OPTIONS of their own."""
        self.require("supports_get_result")
        tasks = self.tasks_setting()
        tasks[DEFAULT]["OPTIONS"], tasks[SECOND]["OPTIONS"] = first, second
        return override_settings(TASKS=tasks)

    def test_a_task_has_as_many_attempts_as_its_alias_allows(self) -> None:
        """Not as another alias allows. (custom: OPTIONS belong to an alias)"""
        with self.reconfigured_pair(self.retrying(2), self.retrying(3)):
            results = [self.tasks.fail.enqueue(), self.tasks.fail.using(backend=SECOND).enqueue()]
            self.run_attempts(4)
            self.assertEqual([self.now(each).attempts for each in results], [2, 3])

    def test_a_task_is_retried_when_its_alias_says(self) -> None:
        """Not when another alias says. (custom: OPTIONS belong to an alias)"""
        slow, quick = self.retrying(3, delays=100), self.retrying(3)
        with self.reconfigured_pair(slow, quick):
            results = [self.tasks.fail.enqueue(), self.tasks.fail.using(backend=SECOND).enqueue()]
            self.run_attempts(2)
            self.assertEqual([self.now(each).attempts for each in results], [1, 2])
            self.assertEqual(self.now(results[1]).status, TaskResultStatus.READY)
