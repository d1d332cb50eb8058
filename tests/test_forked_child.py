"""Processes that handlers fork."""

import os
import sys

import pytest
from django.db import transaction

from django_future import job_as_parameter, run_jobs, schedule_job
from django_future.models import JobProgress
from django_future.status import Status
from tests.shop import jobs
from tests.shop.models import Trace
from tests.support.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def run(monkeypatch):
    """Return a function that executes a job with the given handler, and returns the job."""

    def run_handler(handler):
        handler.__module__ = jobs.__name__
        monkeypatch.setattr(jobs, "echo", handler)
        job = schedule_job("0s", "tests.shop.jobs.echo")
        run_jobs(ignore_errors=True)
        job.refresh_from_db()
        return job

    return run_handler


def exit_code(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def leave_by_exit():
    sys.exit(5)


def leave_by_an_error():
    raise ValueError("in the child")


def return_to_the_caller():
    pass


@pytest.mark.parametrize(
    ("leave", "code"), [(leave_by_exit, 5), (leave_by_an_error, 1), (return_to_the_caller, 0)]
)
def test_a_forked_child_that_leaves_the_handler_ends_and_records_nothing(
    run, leave, code, trace_texts
):
    def handler(value=None):
        Trace.objects.create(text="parent")
        child = os.fork()
        if not child:
            return leave()
        return exit_code(child)

    job = run(handler)
    assert (job.status, job.return_value, trace_texts()) == (Status.COMPLETE, code, ["parent"])


def test_a_forked_child_of_a_coroutine_ends_and_records_nothing(run):
    async def handler(value=None):
        child = os.fork()
        if not child:
            sys.exit(5)
        return exit_code(child)

    assert run(handler).return_value == 5


@pytest.mark.only_on("postgresql", "mysql", reason="on SQLite the handler has the only write lock")
def test_a_forked_child_opens_its_own_connections(run, trace_texts):
    def handler(value=None):
        Trace.objects.create(text="parent")
        child = os.fork()
        if not child:
            with transaction.atomic():
                Trace.objects.create(text="child")
            os._exit(Trace.objects.count())  # excludes the uncommitted row of the parent
        code = exit_code(child)
        Trace.objects.create(text="parent")
        return code

    job = run(handler)
    assert (job.status, job.return_value) == (Status.COMPLETE, 1)
    assert sorted(trace_texts()) == ["child", "parent", "parent"]


def test_a_forked_child_reports_no_progress(run):
    @job_as_parameter
    def handler(job, value=None):
        child = os.fork()
        if not child:
            job.progress(1)
            os._exit(0)
        return exit_code(child)

    assert run(handler).return_value == 0
    assert not JobProgress.objects.exists()


@pytest.mark.slow
def test_a_forked_child_of_a_worker_handles_signals_like_any_process(start_worker, tmp_path):
    start_worker()
    job = schedule_job("0s", jobs.terminate_a_child)
    eventually(lambda: type(job).objects.filter(pk=job.pk, status=Status.COMPLETE).exists())
    job.refresh_from_db()
    assert job.return_value == -15
