"""Handlers that misbehave: no other job, thread or worker is affected."""

import pytest
from django.db import connection

from django_future import ScheduledJob, run_jobs, schedule_job, schedule_jobs
from django_future.models import JobAttempt
from django_future.status import Status
from django_future.text import MAX_ERROR_BYTES, MAX_RESULT_BYTES
from django_future.worker.loop import Limits
from django_future.worker.process import WorkerOptions, run_worker
from tests.shop import hostile, jobs
from tests.shop.models import Order

pytestmark = pytest.mark.django_db(transaction=True)


def work():
    """Execute due jobs in a worker with one thread."""
    assert run_worker(WorkerOptions(alias="default", threads=1, limits=Limits(burst=True))) == 0


def run():
    """Execute due jobs in a one-off run."""
    run_jobs(ignore_errors=True)


@pytest.fixture(params=[work, run], ids=["worker", "pass"])
def run_between(request, trace_texts):
    """Return a function that executes a job between well-behaved jobs, and returns it."""

    def run_one(target, *bound, **options):
        schedule_job("0s", jobs.echo, priority=3)
        schedule_job("0s", jobs.trace, args=["before"], priority=2)
        schedule_job("0s", jobs.echo, priority=1)
        job = schedule_job("0s", target, *bound, **options)
        after = [
            schedule_job("0s", jobs.echo, priority=-1),
            schedule_job("0s", jobs.fail, priority=-2),
            schedule_job("0s", jobs.trace, args=["after"], priority=-3),
        ]
        request.param()
        statuses = [ScheduledJob.objects.get(pk=one.pk).status for one in after]
        assert statuses == [Status.COMPLETE, Status.FAILED, Status.COMPLETE]
        assert not ScheduledJob.objects.running().exists()
        return ScheduledJob.objects.filter(pk=job.pk).first()

    return run_one


def inner(trace_texts):
    """Return the traces between those of the well-behaved jobs."""
    texts = trace_texts()
    assert (texts[0], texts[-1]) == ("before", "after")
    return texts[1:-1]


class TestFailures:
    @pytest.mark.parametrize(
        ("handler", "words"),
        [
            (hostile.panic, "PanicException: index out of bounds"),
            (hostile.press_ctrl_c, "KeyboardInterrupt"),
            (hostile.close_generator, "GeneratorExit"),
            (hostile.return_generator, "returned a generator"),
            (hostile.trace_async_in_disguise, "returned a coroutine"),
            (hostile.raise_unprintable, "Unprintable"),
            (hostile.raise_syntax_error, "SyntaxError"),
            (hostile.retry_out_of_time, "Retry"),
        ],
        ids=lambda value: getattr(value, "__name__", ""),
    )
    def test_any_exception_of_a_handler_fails_its_job_alone(
        self, run_between, trace_texts, handler, words
    ):
        job = run_between(handler)
        assert (job.status, inner(trace_texts)) == (Status.FAILED, [])
        assert words in job.error

    @pytest.mark.parametrize(
        ("handler", "words"),
        [
            (hostile.catch_integrity_error, "can only be rolled back"),
            (hostile.roll_back, "can only be rolled back"),
            (hostile.close_connection, "handler closed its database connection"),
            (hostile.enter_atomic, "entered an atomic() block"),
            (hostile.enter_atomic_for_good, "entered an atomic() block"),
            (hostile.turn_autocommit_off, "did not end a transaction"),
            (hostile.turn_autocommit_off_and_fail, "its own error"),
            (hostile.begin, "did not end a transaction"),
        ],
        ids=lambda value: getattr(value, "__name__", ""),
    )
    def test_a_handler_that_breaks_its_transaction_fails_and_is_rolled_back(
        self, run_between, trace_texts, handler, words
    ):
        job = run_between(handler)
        assert (job.status, inner(trace_texts)) == (Status.FAILED, [])
        assert words in job.error

    @pytest.mark.only_on("sqlite", reason="no other database ends a transaction by itself")
    def test_a_job_whose_transaction_sqlite_ended_fails(self, run_between, trace_texts):
        job = run_between(hostile.roll_back_in_the_database)
        assert (job.status, inner(trace_texts)) == (Status.FAILED, [])
        assert "can only be rolled back" in job.error

    def test_a_handler_that_closes_its_connection_keeps_its_own_error(
        self, run_between, trace_texts
    ):
        job = run_between(hostile.close_old_connections_and_fail)
        assert (job.status, job.attempts, job.rescues) == (Status.SCHEDULED, 1, 0)
        assert inner(trace_texts) == ["ran"]
        assert "its own error" in JobAttempt.objects.get(job=job).traceback

    def test_a_huge_error_is_cut(self, run_between):
        job = run_between(hostile.raise_huge)
        assert job.status == Status.FAILED
        assert len(job.error.encode()) <= MAX_ERROR_BYTES
        assert "bytes are cut here" in job.error

    def test_a_cancel_reason_can_be_of_any_type(self, run_between):
        job = run_between(hostile.cancel_with_number)
        assert (job.status, job.error) == (Status.CANCELLED, "404")


class TestResults:
    def test_a_result_whose_repr_raises_does_not_fail_the_job(self, run_between):
        job = run_between(hostile.return_unrepresentable)
        assert job.status == Status.COMPLETE
        assert "whose repr() raised RuntimeError" in job.return_value

    def test_a_result_that_is_too_large_is_replaced_by_a_message(self, run_between):
        job = run_between(hostile.return_huge)
        assert job.status == Status.COMPLETE
        assert f"more than {MAX_RESULT_BYTES:,} bytes is not stored" in job.return_value

    def test_large_results_of_many_jobs_are_recorded(self):
        schedule_jobs([{"when": "0s", "callable": hostile.return_large}] * 200)
        work()
        assert ScheduledJob.objects.filter(status=Status.COMPLETE).count() == 200


class TestNextJob:
    def test_the_next_job_has_the_language_and_zone_of_the_project(self, settings):
        schedule_job("0s", hostile.switch_language_and_zone, priority=1)
        reported = schedule_job("0s", hostile.return_language_and_zone)
        work()
        reported.refresh_from_db()
        assert reported.return_value == [settings.LANGUAGE_CODE, settings.TIME_ZONE]

    def test_the_query_log_of_debug_mode_does_not_grow(self, settings):
        settings.DEBUG = True
        sizes = []

        def note(**_):
            sizes.append(len(connection.queries_log))

        from django_future import signals
        from tests.support.receivers import connected

        schedule_jobs([{"when": "0s", "callable": jobs.trace}] * 50)
        with connected(signals.job_finished, note):
            work()
        assert max(sizes) < 20

    @pytest.mark.only_on("postgresql", reason="only PostgreSQL plans statements for a session")
    def test_the_next_job_runs_after_discard_all(self, run_between):
        assert run_between(hostile.discard_all).status == Status.COMPLETE


class TestOwnJob:
    def test_a_job_that_its_handler_cancels_is_cancelled_and_rolled_back(
        self, run_between, trace_texts
    ):
        job = run_between(hostile.cancel_itself)
        assert (job.status, inner(trace_texts)) == (Status.CANCELLED, [])
        assert job.error == "The handler cancelled or deleted its own job."

    def test_a_job_that_its_handler_deletes_is_deleted_with_its_effects_kept(
        self, run_between, trace_texts
    ):
        assert run_between(hostile.delete_itself) is None
        assert inner(trace_texts) == ["kept"]

    def test_a_job_whose_row_its_handler_deletes_is_cancelled(self, run_between, trace_texts):
        job = run_between(hostile.delete_itself_unseen)
        assert (job.status, inner(trace_texts)) == (Status.CANCELLED, [])

    @pytest.mark.parametrize("text", ["kept", ""], ids=["with queries", "without queries"])
    def test_a_job_completes_if_its_handler_changes_the_instance(
        self, run_between, trace_texts, text
    ):
        job = run_between(hostile.scribble, kwargs={"text": text})
        assert (job.status, inner(trace_texts)) == (Status.COMPLETE, [text] if text else [])

    @pytest.mark.parametrize(
        ("max_attempts", "status"), [(1, Status.FAILED), (2, Status.SCHEDULED)]
    )
    def test_a_job_fails_or_is_retried_if_its_handler_changes_the_instance(
        self, run_between, trace_texts, max_attempts, status
    ):
        options = {"kwargs": {"fail": True}, "max_attempts": max_attempts, "backoff": ["1h"]}
        job = run_between(hostile.scribble, **options)
        assert (job.status, inner(trace_texts)) == (status, [])
        assert job.failed_attempts.get().exception == "builtins.ValueError"

    def test_a_job_completes_if_its_handler_deletes_the_content_object(
        self, run_between, trace_texts, order
    ):
        job = run_between(hostile.delete_order, content_object=order)
        assert (job.status, inner(trace_texts)) == (Status.COMPLETE, ["kept"])


@pytest.mark.only_on("mysql", reason="the other drivers show all that bypasses Django")
class TestProcedures:
    @pytest.fixture(autouse=True)
    def procedure(self):
        """Create a procedure that inserts a trace."""
        with connection.cursor() as cursor:
            cursor.execute(
                "CREATE PROCEDURE leave_trace() INSERT INTO shop_trace (text) VALUES ('called')"
            )
        yield
        with connection.cursor() as cursor:
            cursor.execute("DROP PROCEDURE leave_trace")

    def test_a_procedure_call_is_committed_with_its_job(self, run_between, trace_texts):
        assert run_between(hostile.call_procedure).status == Status.COMPLETE
        assert inner(trace_texts) == ["called"]


@pytest.mark.only_on("mysql", reason="other databases refuse what follows a lost deadlock")
def test_writes_after_a_caught_deadlock_are_rolled_back(run_between, trace_texts):
    Order.objects.bulk_create([Order(number="A1"), Order(number="A2")])
    job = run_between(hostile.lose_a_deadlock)
    assert (job.status, set(inner(trace_texts))) == (Status.FAILED, {"the rival's"})
