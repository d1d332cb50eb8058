"""Tasks in worker processes: their modules, and their signals."""

import sys
import textwrap
from collections import Counter
from importlib import import_module, invalidate_caches

import django
import pytest
from django.db import connection, transaction

from django_future import ScheduledJob, run_jobs
from django_future.tasks import api
from django_future.tasks.api import task_backends, task_finished
from tests.shop import tasks
from tests.shop.models import Trace
from tests.support.receivers import connected
from tests.support.waiting import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

LIBRARY = "django.tasks" if django.VERSION >= (6, 0) else "django_tasks"
MODULE = f"""
from {LIBRARY} import task


@task
def double(n):
    return 2 * n
"""


def has_ended(*results):
    """Refresh results, and return whether all of them are finished."""
    for result in results:
        result.refresh()
    return all(result.is_finished for result in results)


def signals_of(texts, result):
    """Return the signals of one task in a worker, with the status and the number of attempts."""
    words = [text.split() for text in texts]
    return [
        (name, sender, status, int(attempts))
        for name, sender, result_id, status, attempts in words
        if result_id == result.id
    ]


@pytest.fixture
def outside(tmp_path, monkeypatch):
    """Return a nested module with a task that belongs to no app and not to the project."""
    path = tmp_path / "elsewhere" / "inner"
    path.mkdir(parents=True)
    (path / "calls.py").write_text(textwrap.dedent(MODULE))
    monkeypatch.syspath_prepend(str(tmp_path))
    invalidate_caches()
    yield import_module("elsewhere.inner.calls")
    for name in ("elsewhere", "elsewhere.inner", "elsewhere.inner.calls"):
        sys.modules.pop(name, None)


class TestModules:
    def test_a_worker_imports_the_module_of_a_task_that_code_has_enqueued(
        self, outside, start_worker, tmp_path
    ):
        result = outside.double.enqueue(21)
        start_worker(PYTHONPATH=f"{tmp_path}:{':'.join(sys.path)}")
        eventually(lambda: has_ended(result))
        assert (result.return_value, result.attempts) == (42, 1)

    def test_a_signed_row_imports_its_module_and_another_one_does_not(self, outside):
        result = outside.double.enqueue(21)
        sys.modules.pop("elsewhere.inner.calls")
        ScheduledJob.objects.update(signature="")
        assert task_backends["default"].get_result(result.id).task.name == "double"
        assert "elsewhere.inner.calls" not in sys.modules
        ScheduledJob.objects.get().delete()
        again = import_module("elsewhere.inner.calls").double.enqueue(21)
        sys.modules.pop("elsewhere.inner.calls")
        run_jobs()
        assert task_backends["default"].get_result(again.id).return_value == 42


class TestSignals:
    def test_each_signal_is_sent_once_by_a_worker_with_threads(self, start_worker, trace_texts):
        results = [tasks.echo.enqueue(n) for n in range(40)]
        results += [tasks.trace_and_fail.enqueue() for _ in range(5)]
        results += [tasks.retry_once.using(max_attempts=2, backoff=["0s"]).enqueue()]
        start_worker("--threads", "4", TEST_IMPORT="tests.shop.announced")
        eventually(lambda: has_ended(*results))
        expected = 2 * len(results) + 1
        eventually(lambda: len(trace_texts()) >= expected)
        counts = Counter(trace_texts())
        assert set(counts.values()) == {1}
        for result in results[:40]:
            assert sorted(signals_of(counts, result)) == [
                ("finished", "FutureBackend", "SUCCESSFUL", 1),
                ("started", "FutureBackend", "RUNNING", 1),
            ]
        assert sorted(signals_of(counts, results[-1])) == [
            ("finished", "FutureBackend", "SUCCESSFUL", 2),
            ("started", "FutureBackend", "RUNNING", 1),
            ("started", "FutureBackend", "RUNNING", 2),
        ]

    def test_a_task_that_does_not_end_is_announced_once(self, start_worker, trace_texts):
        result = tasks.sleep_outside.using(timeout="0.2s").enqueue(30)
        start_worker(TEST_IMPORT="tests.shop.announced")
        eventually(lambda: has_ended(result))
        eventually(lambda: len(trace_texts()) >= 2)
        assert result.errors[0].exception_class.__name__ == "JobTimeout"
        assert signals_of(trace_texts(), result) == [
            ("started", "FutureBackend", "RUNNING", 1),
            ("finished", "FutureBackend", "FAILED", 1),
        ]

    def test_a_task_that_is_cancelled_while_it_runs_is_announced_by_who_cancels_it(
        self, start_worker, trace_texts, hold_file
    ):
        received = []

        def receive(task_result, **_):
            received.append((task_result.id, str(task_result.status)))

        result = tasks.hold.enqueue(str(hold_file))
        start_worker(TEST_IMPORT="tests.shop.announced")
        eventually(hold_file.exists)
        with connected(task_finished, receive):
            ScheduledJob.objects.get(pk=result.id).cancel(running=True)
        after = tasks.echo.enqueue(1)
        hold_file.unlink()
        eventually(lambda: has_ended(after))
        eventually(lambda: len(trace_texts()) >= 3)
        assert received == [(result.id, "FAILED")]
        assert [name for name, *_ in signals_of(trace_texts(), result)] == ["started"]

    @pytest.mark.parametrize("name", ["task_started", "task_finished"])
    def test_a_receiver_that_breaks_a_transaction_does_not_change_the_task(self, name):
        def receive(**_):
            with transaction.atomic():
                Trace.objects.create(text="receiver")
                connection.cursor().execute("SELECT no_column")

        with connected(getattr(api, name), receive):
            result = tasks.trace.enqueue("task")
            run_jobs()
        assert has_ended(result)
        assert result.status == "SUCCESSFUL"
        assert [trace.text for trace in Trace.objects.all()] == ["task"]
