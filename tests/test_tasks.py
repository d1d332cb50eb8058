"""The backend of Django's Tasks API."""

import logging
from datetime import UTC, datetime, timedelta

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.core.checks import run_checks
from django.db import transaction
from django.utils import timezone

from django_future import (
    ScheduledJob,
    cancel_jobs,
    clock,
    declarations,
    recurring,
    run_jobs,
    schedule_job,
    schedule_recurring,
)
from django_future.backend import FutureBackend
from django_future.exceptions import WorkerLost
from django_future.execution.failure import rescue_job
from django_future.store import store_for
from django_future.store.transitions import record_start
from django_future.store.workers import register
from django_future.tasks import api
from django_future.tasks.api import (
    InvalidTask,
    InvalidTaskBackend,
    TaskResultDoesNotExist,
    TaskResultStatus,
    task_backends,
    task_enqueued,
    task_finished,
    task_started,
)
from django_future.testing import (
    assert_recurs,
    assert_scheduled,
    override_future,
    perform_job,
    travel_to,
)
from django_future.worker.heartbeat import new_worker
from tests.shop import jobs, tasks
from tests.support.receivers import connected

pytestmark = pytest.mark.django_db(transaction=True)

LOGGER = "django.tasks" if api.Task.__module__.startswith("django.") else "django_tasks"
READY, RUNNING = TaskResultStatus.READY, TaskResultStatus.RUNNING
FAILED, SUCCESSFUL = TaskResultStatus.FAILED, TaskResultStatus.SUCCESSFUL


def ran(result):
    """Run what is due, and return the refreshed result."""
    run_jobs(ignore_errors=True)
    result.refresh()
    return result


class TestEnqueue:
    def test_a_task_is_a_row_that_waits(self):
        result = tasks.add.enqueue(1, b=2)
        job = ScheduledJob.objects.get()
        assert (result.id, result.status, result.attempts) == (str(job.pk), READY, 0)
        assert (job.callable_name, job.args, job.kwargs) == ("tests.shop.tasks.add", [1], {"b": 2})
        assert (job.task_backend, job.expires_at) == ("default", None)

    def test_a_task_is_enqueued_with_one_query(self, django_assert_num_queries):
        tasks.add.enqueue(1)  # fills the caches
        with django_assert_num_queries(1):
            tasks.add.enqueue(1)

    def test_a_task_rolls_back_with_its_transaction(self):
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            tasks.add.enqueue(1)
            raise ZeroDivisionError
        assert not ScheduledJob.objects.exists()

    def test_arguments_are_those_that_json_returns(self):
        result = ran(tasks.echo.enqueue({1: ("a", b"b")}))
        assert result.return_value == {"1": ["a", "b"]}

    @pytest.mark.parametrize("value", [{1}, object(), datetime(2030, 1, 1, tzinfo=UTC)])
    def test_arguments_that_are_not_json_are_refused(self, value):
        with pytest.raises(TypeError):
            tasks.echo.enqueue(value)
        assert not ScheduledJob.objects.exists()

    @pytest.mark.parametrize(
        "run_after", [timedelta(days=2), timezone.now() + timedelta(days=2)], ids=["delta", "time"]
    )
    def test_a_task_does_not_run_before_its_time(self, run_after):
        result = ran(tasks.echo.using(run_after=run_after).enqueue("later"))
        assert result.status == READY
        run_jobs(now="3d")
        result.refresh()
        assert result.return_value == "later"

    def test_a_task_has_the_priority_and_the_queue_of_the_call(self):
        tasks.trace.using(priority=-3).enqueue()
        job = ScheduledJob.objects.get()
        assert (job.priority, job.queue_name) == (-3, "default")

    def test_many_tasks_are_enqueued_together(self):
        backend = task_backends["default"]
        results = backend.enqueue_many([(tasks.echo, [n], {}) for n in range(3)])
        run_jobs()
        for result in results:
            result.refresh()
        assert [result.return_value for result in results] == [0, 1, 2]

    def test_many_tasks_can_come_from_a_generator_and_be_unique(self):
        task = tasks.echo.using(unique=True)
        calls = ((task, [n // 2], {}) for n in range(4))
        results = task_backends["default"].enqueue_many(calls)
        assert len({result.id for result in results}) == ScheduledJob.objects.count() == 2

    def test_one_wrong_call_of_many_writes_nothing(self):
        with pytest.raises(TypeError):
            task_backends["default"].enqueue_many([(tasks.echo, [1], {}), (tasks.echo, [{1}], {})])
        assert not ScheduledJob.objects.exists()

    def test_coroutines_can_enqueue_and_read_results(self):
        async def enqueue():
            result = await tasks.add.aenqueue(1, b=4)
            assert (await tasks.add.aget_result(result.id)).status == READY
            await sync_to_async(run_jobs, thread_sensitive=True)()
            await result.arefresh()
            return result

        assert async_to_sync(enqueue)().return_value == 5


class TestExecution:
    def test_a_result_tells_what_happened(self):
        result = ran(tasks.add.enqueue(1, b=2))
        assert (result.status, result.return_value, result.attempts) == (SUCCESSFUL, 3, 1)
        assert result.enqueued_at <= result.started_at <= result.finished_at
        assert result.last_attempted_at == result.started_at
        assert result.errors == []

    def test_a_failure_rolls_back_and_keeps_its_error(self, trace_texts):
        result = ran(tasks.trace_and_fail.enqueue())
        [error] = result.errors
        assert (result.status, error.exception_class) == (FAILED, ValueError)
        assert "the task fails" in error.traceback
        assert trace_texts() == []

    def test_a_task_that_ends_the_program_fails(self):
        [error] = ran(tasks.leave.enqueue()).errors
        assert error.exception_class is SystemExit

    def test_wrong_arguments_are_a_type_error_of_the_task(self):
        [error] = ran(tasks.add.enqueue()).errors
        assert error.exception_class is TypeError

    def test_a_context_knows_the_attempt(self):
        result = ran(tasks.describe.enqueue("text"))
        assert result.return_value == [1, "RUNNING", "text"]

    def test_a_coroutine_is_awaited(self):
        assert ran(tasks.echo_later.enqueue("later")).return_value == "later"

    def test_a_return_value_that_is_not_json_is_a_failure(self):
        assert ran(tasks.return_set.enqueue()).errors[0].exception_class is TypeError

    def test_a_retry_is_another_attempt_with_its_own_error(self):
        result = ran(tasks.retry_once.using(max_attempts=2, backoff=["0s"]).enqueue())
        assert (result.status, result.attempts, len(result.errors)) == (READY, 1, 1)
        result = ran(result)
        assert (result.status, result.return_value, result.attempts) == (SUCCESSFUL, 2, 2)
        assert result.started_at < result.last_attempted_at

    def test_options_of_a_task_are_stored_with_its_row(self):
        tasks.add.using(max_attempts=3, timeout="30s").enqueue(1)
        job = ScheduledJob.objects.get()
        assert (job.max_attempts, job.options) == (3, {"timeout": "30s"})

    def test_a_task_can_be_scheduled_like_any_handler(self):
        job = schedule_job("0s", tasks.add, args=[1], kwargs={"b": 5})
        run_jobs()
        job.refresh_from_db()
        assert (job.return_value, job.task_backend) == (6, "default")
        assert tasks.add.get_result(str(job.pk)).return_value == 6


class TestAttempts:
    def lose(self, result):
        """Claim the task for a worker that is lost, and rescue it."""
        store = store_for("default")
        worker = new_worker("lost")
        register(store, worker)
        [job] = store.claim(worker, at=store.now(), limit=1)
        job.started_at = clock.to_row(store.now())
        record_start(store, job)
        rescue_job(job, store, "The worker was lost")
        return worker.name

    def test_a_rescued_task_tells_of_each_attempt(self):
        result = tasks.describe.enqueue("again")
        lost = self.lose(result)
        result = ran(result)
        assert result.return_value == [2, "RUNNING", "again"]
        assert (result.attempts, result.worker_ids[0], result.errors) == (2, lost, [])
        assert result.started_at < result.last_attempted_at

    def test_a_lost_attempt_is_no_failure_of_the_task(self):
        result = tasks.retry_once.using(max_attempts=2, backoff=["0s"]).enqueue()
        self.lose(result)
        assert ran(result).return_value == 2

    def test_a_task_that_is_lost_too_often_fails(self):
        result = tasks.echo.enqueue(1)
        for _ in range(4):
            self.lose(result)
        result.refresh()
        [error] = result.errors
        assert (result.status, result.attempts) == (FAILED, 4)
        assert error.exception_class is WorkerLost

    def test_a_task_that_raises_retry_runs_again(self):
        result = ran(tasks.again_once.enqueue())
        assert (result.status, result.attempts, result.errors) == (READY, 1, [])
        assert ran(result).return_value == 2


class TestOtherWays:
    def test_a_recurring_job_can_call_a_task(self):
        schedule_recurring("sum", tasks.add, every="1h", args=[2])
        [job] = travel_to("1h")
        assert (job.return_value, job.task_backend) == (3, "default")

    def test_a_task_can_be_declared_as_recurring(self, monkeypatch):
        monkeypatch.setattr(declarations, "_declared", [])
        assert recurring(cron="0 9 * * *", name="sum", args=[1])(tasks.add) is tasks.add
        recurring(every="1h", name="hourly", args=[1])(tasks.add.func)
        assert_recurs(tasks.add, cron="0 9 * * *")
        assert_recurs(tasks.add, every="1h")
        assert travel_to("1h")[0].task_backend == "default"

    def test_a_rescheduled_task_is_a_task(self):
        tasks.add.enqueue(1)
        copy = ScheduledJob.objects.get().reschedule("1h", args=[2])
        assert copy.task_backend == "default"
        assert tasks.add.get_result(str(copy.pk)).args == [2]

    def test_a_task_can_be_asserted_performed_and_run_inline(self):
        tasks.add.using(run_after=timedelta(days=1)).enqueue(1)
        assert_scheduled(tasks.add, args=[1])
        assert perform_job(tasks.add, args=[1], kwargs={"b": 4}) == 5
        assert perform_job(tasks.describe, args=["text"])[2] == "text"
        with override_future():
            assert ScheduledJob.objects.get(pk=tasks.add.enqueue(5).id).return_value == 6


class TestResults:
    @pytest.mark.parametrize("result_id", ["0", "x", "", "٣٤", "1_2", " 1", "9" * 30])
    def test_an_unknown_id_has_no_result(self, result_id):
        with pytest.raises(TaskResultDoesNotExist):
            tasks.add.get_result(result_id)

    def test_a_plain_job_has_no_result(self):
        job = schedule_job("0s", jobs.echo)
        with pytest.raises(TaskResultDoesNotExist):
            tasks.add.get_result(str(job.pk))

    def test_a_cancelled_task_has_failed(self):
        result = tasks.add.enqueue(1)
        ScheduledJob.objects.get().cancel(reason="not needed")
        result.refresh()
        [error] = result.errors
        assert (result.status, error.exception_class.__name__) == (FAILED, "JobCancelled")
        assert "not needed" in error.traceback

    def test_the_result_of_a_finished_task_outlives_its_queue(self, settings):
        settings.TASKS = {"default": {"BACKEND": BACKEND, "QUEUES": []}}
        result = ran(tasks.echo.using(queue_name="brief").enqueue(1))
        settings.TASKS = {"default": {"BACKEND": BACKEND}}
        assert task_backends["default"].get_result(result.id).return_value == 1

    def test_the_result_of_a_finished_task_outlives_its_code(self, monkeypatch):
        result = ran(tasks.echo.enqueue(1))
        monkeypatch.delattr(tasks, "echo")
        found = task_backends["default"].get_result(result.id)
        assert (found.return_value, found.task.module_path) == (1, "tests.shop.tasks.echo")


BACKEND = "django_future.backend.FutureBackend"


class TestSettings:
    @pytest.mark.parametrize(
        ("options", "word"),
        [
            ({"MAX_ATTEMPT": 3}, "MAX_ATTEMPTS"),
            ({"MAX_ATTEMPTS": 0}, "max_attempts"),
            ({"TIMEOUT": "soon"}, "timeout"),
            ({"DATABASE": "nowhere"}, "nowhere"),
            ({"STRICT_JSON": "yes"}, "STRICT_JSON"),
            ({"EXPIRES": 5}, "expires"),
            ({"ATOMIC": None}, "atomic"),
            ({"BACKOFF": "linear"}, "backoff"),
            ({"MAX_ATTEMPTS": 2, "BACKOFF": ["1s", "2s"]}, "max_attempts=3"),
            ({"DATABASE": 5}, "DATABASE"),
        ],
    )
    def test_wrong_options_are_found_by_the_checks_and_refused(self, settings, options, word):
        settings.TASKS = {"default": {"BACKEND": BACKEND, "OPTIONS": options}}
        backend = task_backends["default"]
        [message] = backend.check()
        assert word in message.msg
        with pytest.raises((InvalidTaskBackend, InvalidTask), match=word):
            tasks.echo.enqueue(1)

    @pytest.mark.parametrize(
        ("values", "word"),
        [
            ({"QUEUES": "default"}, "QUEUES"),
            ({"QUEUES": None}, "QUEUES"),
            ({"QUEUES": [1]}, "QUEUES"),
            ({"OPTIONS": [("TIMEOUT", "1m")]}, "OPTIONS"),
            ({"OPTIONS": None}, "OPTIONS"),
        ],
    )
    def test_settings_of_a_wrong_type_are_refused(self, settings, values, word):
        settings.TASKS = {"default": {"BACKEND": BACKEND, **values}}
        with pytest.raises(InvalidTaskBackend, match=word):
            task_backends["default"]

    def test_a_long_alias_is_refused(self, settings):
        settings.TASKS = {"x" * 101: {"BACKEND": BACKEND}}
        with pytest.raises(InvalidTaskBackend, match="more than 100 characters"):
            task_backends["x" * 101]

    def test_the_checks_find_what_the_backend_needs(self, settings):
        settings.TASKS = {"default": {"BACKEND": BACKEND, "QUEUES": ["", "x" * 101]}}
        assert len(task_backends["default"].check()) == 2
        settings.TASKS = {"default": {"BACKEND": BACKEND}}
        settings.INSTALLED_APPS = [
            app for app in settings.INSTALLED_APPS if app not in {"django_future", "tests.shop"}
        ]
        [message] = task_backends["default"].check()
        assert "needs 'django_future' in INSTALLED_APPS" in message.msg

    def test_options_of_the_backend_apply_to_its_tasks(self, settings):
        options = {"MAX_ATTEMPTS": 4, "EXPIRES": "2d", "TIMEOUT": "1m"}
        settings.TASKS = {"default": {"BACKEND": BACKEND, "OPTIONS": options}}
        tasks.echo.enqueue(1)
        job = ScheduledJob.objects.get()
        assert (job.max_attempts, job.lifetime) == (4, timedelta(days=2))

    def test_values_beyond_json_are_allowed_on_request(self, settings):
        options = {"STRICT_JSON": False}
        settings.TASKS = {"default": {"BACKEND": BACKEND, "OPTIONS": options}}
        assert run_checks() is not None
        tasks.echo.enqueue(timezone.now().date())
        run_jobs()
        assert ScheduledJob.objects.get().return_value == timezone.now().date()


class TestSignals:
    def test_the_signals_are_sent_once_with_the_class_of_the_backend(self):
        received = []

        def receive(sender, task_result, signal, **_):
            received.append((sender, str(task_result.status)))

        with connected(task_started, receive), connected(task_finished, receive):
            ran(tasks.echo.enqueue(1))
        assert received == [(FutureBackend, "RUNNING"), (FutureBackend, "SUCCESSFUL")]

    @pytest.mark.parametrize(
        "end",
        [
            lambda: ScheduledJob.objects.get().cancel(),
            lambda: cancel_jobs(ScheduledJob.objects.all()[:5]),
            lambda: run_jobs(now="3d"),
        ],
        ids=["cancelled", "cancelled together", "expired"],
    )
    def test_a_task_that_does_not_start_is_announced_as_failed(self, end):
        received = []

        def receive(task_result, **_):
            received.append(str(task_result.status))

        tasks.echo.using(expires="1d").enqueue(1)
        with connected(task_finished, receive):
            end()
        assert received == ["FAILED"]

    def test_a_task_is_announced_as_enqueued_after_the_commit_once(self):
        received = []

        def receive(sender, task_result, **_):
            received.append((sender, task_result.id))

        task = tasks.echo.using(unique=True)
        with connected(task_enqueued, receive):
            with pytest.raises(ZeroDivisionError), transaction.atomic():
                task.enqueue(1)
                raise ZeroDivisionError
            with transaction.atomic():
                result = task.enqueue(1)
                assert received == []
            task.enqueue(1)
        assert received == [(FutureBackend, result.id)]

    def test_an_expired_task_whose_key_is_taken_is_announced_as_failed(self):
        received = []

        def receive(task_result, **_):
            received.append((task_result.id, str(task_result.status)))

        task = tasks.echo.using(unique=True, expires="1d")
        old = task.enqueue(1)
        ScheduledJob.objects.update(expires_at=clock.to_row(clock.now()))
        with connected(task_finished, receive):
            assert task.enqueue(1).id != old.id
        assert received == [(old.id, "FAILED")]

    def test_a_lost_task_is_in_the_log_of_django_with_its_error(self, caplog):
        result = tasks.echo.using(rescue=False).enqueue(1)
        with caplog.at_level(logging.ERROR):
            TestAttempts().lose(result)
        [record] = [record for record in caplog.records if record.name == LOGGER]
        assert record.exc_info[0] is WorkerLost

    def test_a_receiver_that_raises_changes_nothing(self):
        def receive(**_):
            raise ZeroDivisionError

        with connected(task_started, receive), connected(task_finished, receive):
            assert ran(tasks.echo.enqueue(1)).status == SUCCESSFUL

    def test_a_failure_is_in_the_log_of_django_with_its_traceback(self, caplog):
        with caplog.at_level(logging.ERROR, LOGGER):
            ran(tasks.trace_and_fail.enqueue())
        [record] = [record for record in caplog.records if record.name == LOGGER]
        assert record.exc_info[0] is ValueError
