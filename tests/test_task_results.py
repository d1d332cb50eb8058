"""The results of tasks: what they tell at each moment of the life of a task."""

import logging
import math
import sys

import pytest
from django.db import connection, transaction

from django_future import ScheduledJob, clock, run_jobs
from django_future.admin.sensitive import without_sensitive
from django_future.exceptions import WorkerLost
from django_future.execution.failure import rescue_job
from django_future.store import store_for, transitions
from django_future.store.workers import register
from django_future.tasks import api
from django_future.tasks.api import TaskResultDoesNotExist, task_backends, task_finished
from django_future.testing import run_due_jobs
from django_future.worker.heartbeat import new_worker
from tests.shop import tasks
from tests.shop.models import Order
from tests.support.receivers import connected

pytestmark = pytest.mark.django_db(transaction=True)

BACKEND = "django_future.backend.FutureBackend"
LOGGER = "django.tasks" if api.Task.__module__.startswith("django.") else "django_tasks"


def ran(result):
    """Run what is due, and return the refreshed result."""
    run_jobs(ignore_errors=True)
    return stored(result)


def stored(result):
    """Return the refreshed result. What it says about its attempts is consistent."""
    result.refresh()
    assert result.attempts == len(result.worker_ids)
    assert all(result.worker_ids)
    assert (result.started_at is None) == (result.attempts == 0)
    assert (result.last_attempted_at is None) == (result.attempts == 0)
    assert (result.finished_at is not None) == result.is_finished
    return result


def claimed(result, name="other"):
    """Claim a task for another worker, and return its job."""
    store = store_for("default")
    worker = new_worker(name)
    register(store, worker)
    [job] = store.claim(worker, at=store.now(), limit=1)
    assert str(job.pk) == result.id
    return job


class TestMoments:
    def test_while_a_task_runs_its_row_and_its_context_agree(self):
        row, context = ran(tasks.look.enqueue()).return_value
        assert row == context
        assert row[0] == "RUNNING"
        assert (row[1], len(row[2]), row[3]) == (1, 1, False)

    def test_a_task_that_waits_for_a_retry_is_ready(self):
        result = ran(tasks.trace_and_fail.using(max_attempts=2, backoff=["1h"]).enqueue())
        assert (result.status, result.attempts, len(result.errors)) == ("READY", 1, 1)
        with pytest.raises(ValueError, match="not finished"):
            result.return_value  # noqa: B018

    def test_a_parked_task_is_ready(self):
        result = tasks.echo.enqueue(1)
        ScheduledJob.objects.update(signature="")
        assert (ran(result).status, result.attempts) == ("READY", 0)
        assert ScheduledJob.objects.get().status == "parked"

    def test_a_task_that_is_claimed_before_its_time_is_ready(self):
        result = tasks.echo.using(run_after=clock.now().replace(year=2999)).enqueue(1)
        store = store_for("default")
        worker = new_worker("early")
        register(store, worker)
        transitions.claim_one(store, worker, int(result.id))
        assert (stored(result).status, result.attempts) == ("READY", 0)

    def test_a_task_that_was_retried_by_hand_is_ready_again(self):
        result = ran(tasks.retry_once.enqueue())
        assert (result.status, result.attempts) == ("FAILED", 1)
        ScheduledJob.objects.get().retry()
        assert (stored(result).status, result.attempts, len(result.errors)) == ("READY", 1, 1)
        assert (ran(result).return_value, result.attempts, len(result.errors)) == (2, 2, 1)

    def test_a_deleted_task_has_no_result(self):
        result = tasks.echo.enqueue(1)
        run_jobs(delete_completed=True)
        with pytest.raises(TaskResultDoesNotExist):
            result.refresh()

    def test_a_result_of_another_task_is_a_mismatch(self):
        result = tasks.echo.enqueue(1)
        with pytest.raises(Exception, match="does not match"):
            tasks.add.get_result(result.id)

    @pytest.mark.parametrize("result_id", ["0{}", "+{}", "{} ", "{}.0"])
    def test_an_id_has_only_one_form(self, result_id):
        result = tasks.echo.enqueue(1)
        with pytest.raises(TaskResultDoesNotExist):
            tasks.echo.get_result(result_id.format(result.id))


class TestAttempts:
    def test_a_released_attempt_does_not_count(self):
        result = tasks.echo.enqueue(1)
        transitions.release(store_for("default"), claimed(result))
        assert (stored(result).status, result.attempts) == ("READY", 0)
        assert ran(result).attempts == 1

    def test_an_attempt_with_unknown_code_does_not_count(self, monkeypatch):
        result = tasks.echo.enqueue(1)
        with monkeypatch.context() as patch:
            patch.delattr(tasks, "echo")
            run_jobs(ignore_errors=True)
            assert (stored(result).status, result.attempts) == ("READY", 0)
        assert (ran(result).return_value, result.attempts) == (1, 1)

    def test_each_kind_of_attempt_has_its_worker(self):
        result = tasks.retry_once.using(max_attempts=2, backoff=["0s"]).enqueue()
        store = store_for("default")
        names = []
        for number in range(3):
            job = claimed(result, f"lost {number}")
            names.append(job.worker)
            job.started_at = clock.to_row(store.now())
            transitions.record_start(store, job)
            rescue_job(job, store, "The worker was lost")
            assert stored(result).worker_ids == names
        result = ran(result)
        assert (result.return_value, result.worker_ids[:3]) == (4, names)

    def test_a_task_that_is_not_rescued_says_that_its_worker_was_lost(self):
        result = tasks.echo.using(rescue=False).enqueue(1)
        store = store_for("default")
        job = claimed(result)
        job.started_at = clock.to_row(store.now())
        transitions.record_start(store, job)
        rescue_job(job, store, "The worker was lost")
        [error] = stored(result).errors
        assert (result.status, error.exception_class) == ("FAILED", WorkerLost)

    def test_an_attempt_that_is_cancelled_while_it_runs_counts(self):
        result = tasks.echo.enqueue(1)
        claimed(result)
        ScheduledJob.objects.get().cancel(running=True)
        assert (stored(result).status, result.attempts, len(result.errors)) == ("FAILED", 1, 1)
        first = result.worker_ids
        ScheduledJob.objects.get().retry()
        assert (stored(result).status, result.worker_ids, result.errors) == ("READY", first, [])
        assert (ran(result).status, result.attempts, result.errors) == ("SUCCESSFUL", 2, [])


class TestErrors:
    @pytest.mark.parametrize("name", ["KeyboardInterrupt", "GeneratorExit"])
    def test_an_exception_that_ends_programs_is_the_error_of_the_task(self, name):
        [error] = ran(tasks.fail_with.enqueue(name)).errors
        assert error.exception_class.__name__ == name
        assert "fail_with" in error.traceback

    @pytest.mark.parametrize("name", ["Empty", "Local", "Unprintable"])
    def test_an_exception_that_cannot_be_imported_has_its_path(self, name):
        [error] = ran(tasks.fail_with.enqueue(name)).errors
        assert error.exception_class_path.endswith(name)
        assert "fail_with" in error.traceback

    def test_an_attempt_that_cannot_be_recorded_has_the_path_of_its_exception(self):
        task = tasks.trace_and_fail.using(max_attempts=2, backoff=["36500d"])
        error = ran(task.enqueue()).errors[-1]
        assert error.exception_class is ValueError

    def test_sensitive_arguments_are_in_no_error_and_no_log(self, monkeypatch, caplog):
        monkeypatch.setattr(tasks, "shout", tasks.shout.using(sensitive_arguments=["secret"]))
        with caplog.at_level(logging.ERROR):
            [error] = ran(tasks.shout.enqueue("xyzzy")).errors
        assert error.exception_class is ValueError
        assert "shout" in error.traceback
        assert "xyzzy" not in error.traceback
        assert "xyzzy" not in caplog.text
        [record] = [record for record in caplog.records if record.name == LOGGER]
        assert record.exc_info[0].__name__ == "ValueError"
        assert without_sensitive(ScheduledJob.objects.get(), '["xyzzy"]') == '["[hidden]"]'


class TestReturnValues:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("infinity", [math.inf, -math.inf]),
            ("long", 10**30),
            ("bytes", "café"),
            ("keys", {"1": "a", "null": "b"}),
            ("tag", {"__type__": "date", "value": "2030-01-31"}),
            ("surrogate", "\ud800 \0"),
            ("tuple", [1, [2]]),
        ],
    )
    def test_a_value_is_stored_as_json_returns_it(self, name, value):
        assert ran(tasks.return_value.enqueue(name)).return_value == value

    def test_nan_is_stored(self):
        assert math.isnan(ran(tasks.return_value.enqueue("nan")).return_value)

    @pytest.mark.parametrize(
        ("name", "kind"),
        [
            ("huge", ValueError),
            ("many", ValueError),
            ("date", TypeError),
            ("instance", TypeError),
            ("lambda", TypeError),
        ],
    )
    def test_a_value_that_cannot_be_stored_exactly_fails_the_task(self, name, kind):
        [error] = ran(tasks.return_value.enqueue(name)).errors
        assert error.exception_class is kind

    def test_a_secret_fails_the_task(self, settings):
        settings.SECRET_KEY = "a secret that is long enough"
        [error] = ran(tasks.return_value.enqueue("secret")).errors
        assert "contains SECRET_KEY" in error.traceback
        assert "long enough" not in error.traceback

    @pytest.mark.parametrize("name", ["generator", "coroutine"])
    def test_what_was_not_awaited_fails_the_task(self, name):
        [error] = ran(tasks.return_value.enqueue(name)).errors
        assert error.exception_class.__name__ == "NotAwaited"

    @pytest.mark.parametrize("name", ["instance", "lambda", "huge"])
    def test_without_strict_json_a_value_must_be_stored_exactly_too(self, settings, name):
        settings.TASKS = {"default": {"BACKEND": BACKEND, "OPTIONS": {"STRICT_JSON": False}}}
        assert ran(tasks.return_value.enqueue(name)).status == "FAILED"
        assert ran(tasks.return_value.enqueue("date")).status == "SUCCESSFUL"

    def test_an_argument_that_contains_itself_is_refused(self):
        value = []
        value.append(value)
        with pytest.raises(TypeError, match="contains itself"):
            tasks.echo.enqueue(value)


class TestDamage:
    def test_a_result_can_be_read_although_its_argument_was_deleted(self, settings):
        settings.TASKS = {"default": {"BACKEND": BACKEND, "OPTIONS": {"STRICT_JSON": False}}}
        order = Order.objects.create(number="A1")
        result = ran(tasks.echo.enqueue(order))
        assert result.return_value == order
        order.delete()
        found = tasks.echo.get_result(result.id)
        assert (found.status, found.args[0]["model"]) == ("SUCCESSFUL", "shop.order")
        assert found.return_value["model"] == "shop.order"

    @pytest.mark.parametrize("text", ["", "no JSON", "{}", '"x"', "null", "[" * 9999])
    def test_a_result_can_be_read_although_its_row_is_damaged(self, text):
        result = tasks.echo.enqueue(1)
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE django_future_scheduledjob SET args = %s, kwargs = %s, options = %s",
                [text] * 3,
            )
        assert isinstance(tasks.echo.get_result(result.id).args, list)
        assert isinstance(tasks.echo.get_result(result.id).kwargs, dict)

    def test_a_row_of_sql_does_not_import_a_module(self):
        tasks.echo.enqueue(1)
        ScheduledJob.objects.update(callable_name="antigravity.fly")
        found = task_backends["default"].get_result(str(ScheduledJob.objects.get().pk))
        assert found.task.module_path == "antigravity.fly"
        assert "antigravity" not in sys.modules


class TestTransactions:
    def test_an_async_task_that_times_out_fails(self):
        result = ran(tasks.sleep.using(timeout="0.2s").enqueue(60))
        [error] = result.errors
        assert (result.status, error.exception_class.__name__) == ("FAILED", "JobTimeout")

    def test_a_task_can_run_without_a_transaction(self, trace_texts):
        assert ran(tasks.durable.using(atomic=False).enqueue()).status == "SUCCESSFUL"
        assert trace_texts() == ["durable"]

    def test_a_durable_transaction_in_an_atomic_task_fails(self):
        assert ran(tasks.durable.enqueue()).errors[0].exception_class is RuntimeError

    @pytest.mark.parametrize("atomic", [True, False])
    def test_a_hook_runs_after_the_commit_of_a_task(self, trace_texts, atomic):
        assert ran(tasks.trace_after_commit.using(atomic=atomic).enqueue("x")).status == (
            "SUCCESSFUL"
        )
        assert trace_texts() == ["x"]


@pytest.mark.django_db
class TestInATestCase:
    def test_a_task_runs_in_the_transaction_of_a_test(self, django_capture_on_commit_callbacks):
        received = []

        def receive(task_result, **_):
            received.append(str(task_result.status))

        with (
            connected(api.task_enqueued, receive),
            connected(api.task_started, receive),
            connected(task_finished, receive),
        ):
            with django_capture_on_commit_callbacks(execute=True):
                result = tasks.add.enqueue(1)
            with pytest.raises(ZeroDivisionError), transaction.atomic():
                tasks.add.enqueue(1)
                raise ZeroDivisionError
            run_due_jobs()
        assert (stored(result).return_value, received) == (2, ["READY", "RUNNING", "SUCCESSFUL"])
