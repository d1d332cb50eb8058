"""Handlers without queries, whose completions are recorded together."""

import pytest
from django.db import connection, transaction

from django_future import ScheduledJob, clock, schedule_job, schedule_jobs, signals
from django_future.execution.executor import execute
from django_future.execution.recording import record_completions
from django_future.execution.watchdog import Watchdog
from django_future.models import Worker
from django_future.status import Status
from django_future.store import Session, store_for
from tests.shop import jobs
from tests.shop.models import Trace

pytestmark = pytest.mark.django_db(transaction=True)

ANY_WORKER = Worker(name="any")


@pytest.fixture
def session():
    """Return a session of this thread, which is idle after the test."""
    session = Session(store_for("default"))
    yield session
    session.end_idle()


@pytest.fixture
def run(session):
    """Return a function that executes due jobs on one session, and returns the batch."""

    watchdog = Watchdog(session.store, on_stuck=None)  # it is not running

    def run_due():
        gathered = []
        for job in session.store.claim(ANY_WORKER, at=clock.now(), limit=10):
            execute(job, session, watchdog, batch=gathered.append)
        return gathered

    return run_due


def statuses():
    return list(ScheduledJob.objects.order_by("pk").values_list("status", flat=True))


def test_completions_of_jobs_without_queries_are_recorded_together(session, run):
    schedule_jobs([{"when": "0s", "callable": jobs.echo, "args": [n]} for n in range(3)])
    gathered = run()
    session.end_idle()
    assert statuses() == [Status.RUNNING] * 3
    record_completions(gathered, session.store, pytest.fail)
    assert statuses() == [Status.COMPLETE] * 3
    assert [job.return_value for job in ScheduledJob.objects.order_by("pk")] == [0, 1, 2]


def test_a_connection_with_an_execute_wrapper_is_reused_between_jobs(session, run):
    connection = session.store.connection
    connection.ensure_connection()
    before = connection.connection
    with connection.execute_wrapper(lambda execute, *query: execute(*query)):
        for call in (jobs.trace, jobs.echo, jobs.trace):
            schedule_job("0s", call)
            run()
            session.end_idle()
            session.tidy()
    assert session.store.connection.connection is before


def test_a_job_that_writes_is_completed_in_its_transaction(run):
    schedule_jobs([{"when": "0s", "callable": call} for call in (jobs.echo, jobs.trace)])
    [gathered] = run()
    assert gathered.callable_name == "tests.shop.jobs.echo"
    assert statuses() == [Status.RUNNING, Status.COMPLETE]
    assert Trace.objects.count() == 1


def test_no_transaction_remains_open_after_a_job_that_writes(run):
    schedule_job("0s", jobs.trace)
    run()
    assert connection.get_autocommit()


def test_a_failure_does_not_undo_the_previous_job(session, run):
    schedule_jobs([{"when": "0s", "callable": call} for call in (jobs.trace, jobs.echo, jobs.fail)])
    record_completions(run(), session.store, pytest.fail)
    assert statuses() == [Status.COMPLETE, Status.COMPLETE, Status.FAILED]
    assert Trace.objects.count() == 1


@pytest.mark.only_on("sqlite", "postgresql", reason="not all MySQL drivers report it")
def test_statements_sent_directly_to_the_driver_count_as_queries(run):
    schedule_job("0s", jobs.trace_through_the_driver)
    assert run() == []
    assert (statuses(), Trace.objects.count()) == ([Status.COMPLETE], 1)


def test_on_commit_hooks_of_a_job_without_queries_run_before_the_next_job(run, trace_texts):
    schedule_job("0s", jobs.trace_on_commit, priority=1)
    schedule_job("0s", jobs.trace, args=["next"])
    run()
    assert trace_texts() == ["hook", "next"]


def test_the_writes_of_a_receiver_survive_a_failed_job(run, trace_texts):
    def note(*, job, **_):
        Trace.objects.create(text="started")

    schedule_jobs([{"when": "0s", "callable": call} for call in (jobs.echo, jobs.fail)])
    signals.job_started.connect(note)
    try:
        run()
    finally:
        signals.job_started.disconnect(note)
    assert trace_texts() == ["started", "started"]


def test_an_idle_session_holds_no_transaction(session, run):
    schedule_job("0s", jobs.echo)
    run()
    session.end_idle()
    assert connection.get_autocommit()
    assert not connection.in_atomic_block


def test_a_completion_whose_lease_was_lost_is_logged(session, run, caplog):
    schedule_jobs([{"when": "0s", "callable": jobs.echo}] * 2)
    gathered = run()
    session.end_idle()
    ScheduledJob.objects.filter(pk=gathered[0].pk).update(lease=7)
    record_completions(gathered, session.store, pytest.fail)
    assert statuses() == [Status.RUNNING, Status.COMPLETE]
    assert "claimed by another worker" in caplog.text


def test_claims_and_completions_work_inside_a_transaction(session, run):
    schedule_job("0s", jobs.echo)
    with transaction.atomic():
        gathered = session.store.claim(ANY_WORKER, at=clock.now(), limit=10)
        for job in gathered:
            job.finished_at = job.started_at
        assert session.store.finish_all(gathered) == []
    assert statuses() == [Status.COMPLETE]


def test_recording_a_completion_twice_changes_nothing(session, run):
    schedule_job("0s", jobs.echo)
    gathered = run()
    session.end_idle()
    assert session.store.finish_all(gathered) == []
    assert session.store.finish_all(gathered) == []


def test_a_commit_that_fails_fails_the_job(run):
    schedule_job("0s", jobs.break_a_promise)
    run()
    assert statuses() == [Status.FAILED]
