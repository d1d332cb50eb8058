"""The execution of jobs in one-off runs."""

import logging
import signal

import pytest
from django.db import transaction

from django_future import ScheduledJob, clock, run_jobs, schedule_job, signals
from django_future.exceptions import HandlerExited, LeaseLost, RunInsideTransaction
from django_future.models import Worker
from django_future.status import Status
from django_future.store import store_for, transitions
from django_future.store.attempts import Failure
from django_future.store.transitions import fail, record_cancelled, schedule_retry
from tests.shop import jobs
from tests.shop.models import Order, Trace
from tests.support.receivers import connected
from tests.support.rows import rewrite

pytestmark = pytest.mark.django_db


def run_one(callable_, *given, **options):
    """Schedule a job for now, execute it, and return it from the database."""
    job = schedule_job("0s", callable_, *given, **options)
    run_jobs(ignore_errors=True)
    job.refresh_from_db()
    return job


class TestOrder:
    def test_jobs_run_by_priority_and_then_by_time(self, trace_texts):
        for text, when, priority in [
            ("late", "2030-01-02", 0),
            ("early", "2030-01-01", 0),
            ("urgent", "2030-01-03", 9),
            ("idle", "2029-01-01", -9),
        ]:
            schedule_job(when, jobs.trace, None, None, [text], priority=priority)
        run_jobs(now="2030-01-04")
        assert trace_texts() == ["urgent", "early", "late", "idle"]

    def test_a_job_scheduled_by_a_job_waits_for_the_next_one_off_run(self, trace_texts):
        schedule_job("0s", jobs.schedule_another)
        run_jobs()
        assert trace_texts() == []
        run_jobs()
        assert trace_texts() == ["by another"]

    def test_a_job_that_becomes_due_later_waits_for_the_next_one_off_run(self):
        def hasten(**_):
            ScheduledJob.objects.scheduled().update(scheduled_at=clock.to_row(clock.now()))

        later = schedule_job("1h", jobs.echo)
        schedule_job("0s", jobs.echo)
        with connected(signals.job_started, hasten):
            run_jobs()
        later.refresh_from_db()
        assert later.status == Status.SCHEDULED


class TestCalls:
    def test_a_handler_receives_the_job_then_the_object_then_the_arguments(
        self, order, trace_texts
    ):
        run_one(jobs.trace_all, order, args=[1], kwargs={"k": 2})
        [text] = trace_texts()
        assert text.startswith("<ScheduledJob (running) callable='tests.shop.jobs.trace_all'>")
        assert text.endswith("<Order: Order A1> (1,) {'k': 2}")

    def test_a_method_of_the_content_object_is_called(self, order):
        run_one("remind", order, kwargs={"times": 3})
        assert Order.objects.get().reminders == 3

    def test_a_method_can_receive_its_job(self, order, trace_texts):
        job = run_one("note", order, args=["noted"])
        assert trace_texts() == [f"A1 {job.pk} noted"]

    def test_a_method_of_a_proxy_model_is_called(self, trace_texts):
        from tests.shop.models import ExpressOrder

        run_one("hurry", ExpressOrder.objects.create())
        assert trace_texts() == ["ExpressOrder hurried"]

    def test_a_coroutine_handler_is_awaited(self, trace_texts):
        assert run_one(jobs.trace_async, args=["awaited"]).status == Status.COMPLETE
        assert trace_texts() == ["awaited"]

    def test_the_job_in_signals_holds_the_loaded_content_object(
        self, order, django_assert_num_queries
    ):
        seen = []

        def watch(job, **_):
            with django_assert_num_queries(0):
                seen.append(job.content_object)

        with connected(signals.job_finished, watch):
            run_one(jobs.echo, order)
        assert seen == [order]


class TestCompletion:
    def test_a_complete_job_records_its_times_result_and_worker(self):
        job = run_one(jobs.echo, args=[{"sum": 3}])
        assert (job.status, job.attempts, job.lease, job.error) == (Status.COMPLETE, 1, 1, "")
        assert job.scheduled_at <= job.started_at <= job.finished_at
        assert job.return_value == {"sum": 3}
        assert job.worker

    @pytest.mark.parametrize("value", [None, False, 0, "", "text", (1, 2), {1, 2}])
    def test_the_return_value_of_a_handler_is_recorded(self, value):
        back = run_one(jobs.echo, args=[value]).return_value
        assert (back, type(back)) == (value, type(value))

    def test_a_return_value_that_cannot_be_stored_is_recorded_as_its_repr(self):
        job = run_one(jobs.unstorable)
        assert job.status == Status.COMPLETE
        assert "<lambda>" in job.return_value

    def test_run_jobs_can_delete_complete_jobs(self, trace_texts):
        schedule_job("0s", jobs.trace)
        run_jobs(delete_completed=True)
        assert trace_texts() == ["ran"]
        assert not ScheduledJob.objects.exists()

    def test_run_jobs_never_deletes_failed_jobs(self):
        schedule_job("0s", jobs.fail)
        run_jobs(delete_completed=True, ignore_errors=True)
        assert ScheduledJob.objects.get().status == Status.FAILED

    def test_a_one_off_run_removes_its_worker_row(self):
        run_one(jobs.echo)
        assert not Worker.objects.exists()


class TestFailure:
    def test_the_writes_of_a_failed_handler_are_rolled_back(self, trace_texts):
        job = run_one(jobs.trace_and_fail)
        assert (job.status, job.attempts) == (Status.FAILED, 1)
        assert job.finished_at
        assert "ValueError: fail" in job.error
        assert trace_texts() == []

    def test_a_one_off_run_stops_at_a_failure_and_leaves_later_jobs_untouched(self):
        schedule_job("0s", jobs.fail)
        later = ScheduledJob.objects.get(pk=schedule_job("0s", jobs.echo).pk)
        with pytest.raises(ValueError, match="fail"):
            run_jobs()
        after = ScheduledJob.objects.get(pk=later.pk)
        for field in ScheduledJob._meta.concrete_fields:
            assert getattr(after, field.attname) == getattr(later, field.attname)
        assert not Worker.objects.exists()

    def test_a_one_off_run_continues_if_errors_are_ignored(self, trace_texts):
        schedule_job("0s", jobs.fail)
        schedule_job("0s", jobs.trace)
        run_jobs(ignore_errors=True)
        assert trace_texts() == ["ran"]

    def test_a_handler_that_calls_exit_fails(self):
        job = schedule_job("0s", jobs.quit_program)
        with pytest.raises(HandlerExited):
            run_jobs()
        job.refresh_from_db()
        assert job.status == Status.FAILED
        assert "SystemExit: 3" in job.error

    def test_an_error_with_nul_and_surrogates_is_recorded(self):
        error = run_one(jobs.with_cause).error
        assert r"nul \0 and \udc80" in error
        assert "direct cause" in error

    def test_ctrl_c_in_a_one_off_run_releases_the_job(self, monkeypatch):
        def interrupt(value=None):
            signal.raise_signal(signal.SIGINT)

        monkeypatch.setattr(jobs, "echo", interrupt)
        interrupt.__module__ = jobs.__name__
        job = schedule_job("0s", "tests.shop.jobs.echo")
        with pytest.raises(KeyboardInterrupt):
            run_jobs()
        job.refresh_from_db()
        assert (job.status, job.attempts, job.worker) == (Status.SCHEDULED, 0, "")


class TestBadRows:
    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"callable_name": "vanished"}, "'vanished' is not a dotted path"),
            ({"callable_name": "tests.shop.jobs.sys"}, "which is not callable"),
            ({"callable_name": "os.system"}, "CallableNotAllowed: 'os.system'"),
            ({"callable_name": "tests.shop.jobs.system"}, "CallableNotAllowed"),
            ({"args": [1, 2, 3]}, "does not accept the arguments of this job: too many"),
            ({"kwargs": {"colour": "red"}}, "unexpected keyword argument 'colour'"),
        ],
    )  # fmt: skip
    def test_a_bad_row_fails_its_job_and_the_one_off_run_continues(
        self, changes, words, trace_texts
    ):
        job = schedule_job("0s", jobs.trace)
        schedule_job("0s", jobs.trace, args=["the next"])
        rewrite(job, **changes)
        run_jobs(ignore_errors=True)
        job.refresh_from_db()
        assert job.status == Status.FAILED
        assert words in job.error
        assert trace_texts() == ["the next"]

    @pytest.mark.parametrize("column", ["args", "kwargs"])
    @pytest.mark.parametrize(
        "text",
        [
            "nonsense",
            '{"__type__": "pickle", "class": "x", "value": "gASVAAAA:forged"}',
            "5",
            "null",
        ],
    )
    def test_arguments_that_cannot_be_read_fail_their_job(self, column, text):
        from django_future.serialization import Stored

        job = schedule_job("0s", jobs.echo)
        rewrite(**{column: Stored(text)})
        run_jobs(ignore_errors=True)
        job.refresh_from_db()
        assert job.status == Status.FAILED
        assert "Traceback" in job.error

    @pytest.mark.parametrize("object_id", ["999", "nonsense"])
    @pytest.mark.parametrize(
        ("on_delete", "status"), [("cancel", Status.CANCELLED), ("fail", Status.FAILED)]
    )
    def test_the_error_names_a_deleted_content_object(self, object_id, on_delete, status, order):
        job = schedule_job("0s", jobs.trace_object, order, on_delete=on_delete)
        rewrite(object_id=object_id)
        run_jobs(ignore_errors=True)
        job.refresh_from_db()
        assert job.status == status
        assert f"The content object, Shop | order {object_id}, is gone." in job.error

    def test_a_type_error_inside_the_handler_is_recorded_unchanged(self):
        assert run_one(jobs.type_error_inside).error.endswith("TypeError: inside\n")


class TestReceiversAndLog:
    def test_a_receiver_that_raises_does_not_affect_the_job(self):
        def broken(**_):
            raise RuntimeError("receiver")

        with connected(signals.job_started, broken), connected(signals.job_finished, broken):
            job = run_one(jobs.echo)
        assert job.status == Status.COMPLETE

    def test_each_job_is_logged_in_one_line(self, caplog):
        caplog.set_level(logging.INFO, logger="django_future")
        job = run_one(jobs.echo)
        [record] = caplog.records
        assert record.message.startswith(
            f"Job {job.pk} tests.shop.jobs.echo complete: queue default"
        )

    def test_a_failure_is_logged_with_its_traceback(self, caplog):
        run_one(jobs.fail)
        [record] = caplog.records
        assert record.levelno == logging.ERROR
        assert "ValueError: fail" in caplog.text


@pytest.mark.django_db(transaction=True)
class TestTransactions:
    def test_run_jobs_refuses_to_run_inside_a_transaction(self):
        with transaction.atomic(), pytest.raises(RunInsideTransaction, match="'default'"):
            run_jobs()

    def test_an_on_commit_hook_that_raises_does_not_affect_the_job(self, trace_texts, caplog):
        job = run_one(jobs.trace_and_break_hook)
        assert job.status == Status.COMPLETE
        assert trace_texts() == ["kept"]
        assert "one of its on_commit() hooks raised an exception" in caplog.text

    def test_the_writes_of_a_job_whose_lease_is_lost_are_rolled_back(self, trace_texts, caplog):
        def claim_again(job, **_):
            ScheduledJob.objects.update(lease=job.lease + 1)

        with connected(signals.job_started, claim_again):
            schedule_job("0s", jobs.trace)
            run_jobs()
        assert trace_texts() == []
        assert ScheduledJob.objects.get().status == Status.RUNNING
        assert "claimed by another worker" in caplog.text

    def test_the_writes_of_a_job_deleted_while_it_runs_are_rolled_back(self, trace_texts):
        def delete(job, **_):
            ScheduledJob.objects.all().delete()

        with connected(signals.job_started, delete):
            schedule_job("0s", jobs.trace)
            run_jobs()
        assert trace_texts() == []

    def test_a_job_completes_although_a_receiver_changes_its_instance(self, trace_texts):
        def claim_in_memory(job, **_):
            job.lease, job.worker, job.started_at = job.lease + 1, "another", "never"

        with connected(signals.job_started, claim_in_memory):
            run_one(jobs.trace, None, args=["kept"])
        assert trace_texts() == ["kept"]
        assert ScheduledJob.objects.get().status == Status.COMPLETE

    def test_every_recorded_end_requires_the_lease(self):
        store, worker = store_for("default"), Worker(name="one")
        schedule_job("0s", jobs.echo)
        [job] = store.claim(worker, at=clock.now(), limit=1)
        job.lease -= 1
        job.finished_at = job.started_at
        late = Failure("ValueError", "late")
        for end in (
            store.finish,
            lambda job: transitions.delete_complete(store, job),
            lambda job: fail(store, job, late),
            lambda job: schedule_retry(store, job, clock.now(), late),
            lambda job: record_cancelled(store, job, "late"),
        ):
            with pytest.raises(LeaseLost), store.transaction():
                end(job)
        assert store.finish_all([job]) == [job]
        assert not transitions.release(store, job)
        assert not transitions.rescue(store, job, is_counted=True)
        assert ScheduledJob.objects.get().status == Status.RUNNING

    def test_a_handler_can_write_after_a_read_and_a_concurrent_write(self):
        """Another connection writes in between, which SQLite alone would refuse."""
        from threading import Thread

        from django.db import connection

        def write():
            Trace.objects.create(text="concurrent")
            connection.close()

        writer = Thread(target=write)

        def start_writer(**_):
            writer.start()

        with connected(signals.job_started, start_writer):
            job = run_one(jobs.read_then_write)
        writer.join()
        assert job.status == Status.COMPLETE
        assert Trace.objects.count() == 2
