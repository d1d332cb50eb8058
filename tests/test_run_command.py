"""The command `manage.py runscheduledjobs`."""

import os
import subprocess
import sys

import pytest
from django.core.management import CommandError, call_command

from django_future import ScheduledJob, schedule_job
from django_future.status import Status
from tests.shop import jobs
from tests.support.processes import ROOT

pytestmark = pytest.mark.django_db


def lines(capsys):
    return capsys.readouterr().out.splitlines()


def test_runscheduledjobs_prints_a_line_for_each_job_and_a_summary(capsys):
    done, failed = schedule_job("0s", jobs.echo), schedule_job("0s", jobs.fail)
    call_command("runscheduledjobs", "--ignore-errors", "--no-color")
    assert lines(capsys) == [
        f"{done.pk} tests.shop.jobs.echo complete",
        f"{failed.pk} tests.shop.jobs.fail failed",
        "Ran 2: 1 complete, 1 failed.",
    ]


def test_runscheduledjobs_reports_that_nothing_is_due(capsys):
    call_command("runscheduledjobs")
    assert lines(capsys) == ["Nothing is due."]


def test_runscheduledjobs_prints_nothing_at_verbosity_0(capsys):
    schedule_job("0s", jobs.echo)
    call_command("runscheduledjobs", verbosity=0)
    assert lines(capsys) == []


def test_runscheduledjobs_stops_at_a_failure_and_prints_the_traceback(capsys):
    failed, later = schedule_job("0s", jobs.fail), schedule_job("0s", jobs.echo)
    with pytest.raises(CommandError, match=f"Job {failed.pk} failed") as caught:
        call_command("runscheduledjobs")
    assert caught.value.returncode == 1
    assert "ValueError: fail" in capsys.readouterr().err
    later.refresh_from_db()
    assert later.status == Status.SCHEDULED


def test_runscheduledjobs_deletes_completed_jobs_with_delete_completed():
    schedule_job("0s", jobs.echo)
    call_command("runscheduledjobs", "--delete-completed")
    assert not ScheduledJob.objects.exists()


@pytest.mark.django_db(databases=["default", "other"])
def test_runscheduledjobs_executes_jobs_of_another_database():
    schedule_job("0s", jobs.echo, using="other")
    call_command("runscheduledjobs", "--database", "other")
    assert ScheduledJob.objects.using("other").get().status == Status.COMPLETE


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("handler", "options", "code"), [
    (jobs.echo, [], 0), (jobs.fail, [], 1), (jobs.fail, ["-i"], 0)
])  # fmt: skip
def test_the_exit_code_of_runscheduledjobs_shows_failures(handler, options, code):
    schedule_job("0s", handler)
    command = [sys.executable, "-m", "django", "runscheduledjobs", *options]
    done = subprocess.run(command, cwd=ROOT, env=os.environ, check=False, capture_output=True)
    assert done.returncode == code
    assert (b"ValueError: fail" in done.stderr) == (handler is jobs.fail)
