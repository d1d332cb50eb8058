"""The API that the first django-future documented, which still works."""

from datetime import datetime, timedelta

import pytest
from django.core.management import call_command

from django_future import ScheduledJob, job_as_parameter, run_jobs, schedule_job
from django_future.status import Status

pytestmark = pytest.mark.django_db

SAMPLE = "django_future.tests.sample_job"


def printed(capsys):
    return capsys.readouterr().out


def in_(**length):
    return datetime.now() + timedelta(**length)


def test_a_scheduled_job_is_shown_with_its_status_and_callable():
    job = schedule_job(datetime.now(), SAMPLE)
    assert repr(job) == f"<ScheduledJob (scheduled) callable='{SAMPLE}'>"


def test_a_job_that_is_due_runs_and_prints_nothing_else(capsys):
    schedule_job(datetime.now(), SAMPLE)
    assert run_jobs() is None
    assert printed(capsys) == "Simple job executed.\n"


def test_a_job_runs_at_its_time_and_only_once(capsys):
    schedule_job(in_(hours=5), SAMPLE)
    run_jobs(now=in_(hours=3))
    run_jobs(now=in_(hours=4))
    assert printed(capsys) == ""
    run_jobs(now=in_(hours=5))
    assert printed(capsys) == "Simple job executed.\n"
    run_jobs(now=in_(hours=6))
    assert printed(capsys) == ""


@pytest.mark.parametrize("when", ["3d", timedelta(days=3)])
def test_an_offset_counts_from_the_time_of_the_call(when, capsys):
    schedule_job(when, SAMPLE)
    run_jobs(now=in_(days=2))
    assert printed(capsys) == ""
    run_jobs(now=in_(days=3))
    assert printed(capsys) == "Simple job executed.\n"
    run_jobs(now=in_(days=4))
    assert printed(capsys) == ""


def test_expiry_counts_from_the_scheduled_time(capsys):
    late = schedule_job("3d", SAMPLE, expires="5d")
    run_jobs(now=in_(days=9))
    late.refresh_from_db()
    assert (printed(capsys), late.status) == ("", Status.EXPIRED)

    schedule_job("3d", SAMPLE, expires="5d")
    run_jobs(now=in_(days=7))
    assert printed(capsys) == "Simple job executed.\n"


def test_a_job_expires_after_one_week_by_default():
    job = schedule_job("3d", SAMPLE)
    assert job.expires_at - job.scheduled_at == timedelta(weeks=1)


def test_args_and_kwargs_are_passed_to_the_handler(capsys):
    schedule_job("0h", "django_future.tests.job_with_args", args=[11], kwargs={"k": 12})
    run_jobs()
    assert printed(capsys) == "Job with arguments: n = 11, k = 12\n"


def test_a_handler_can_receive_its_job(capsys):
    schedule_job("0h", "django_future.tests.job_job")
    run_jobs()
    assert printed(capsys) == (
        "Got job as argument: <ScheduledJob (running) callable='django_future.tests.job_job'>\n"
    )


def test_the_content_object_is_the_first_argument(order, trace_texts):
    schedule_job(
        "0h",
        "tests.shop.jobs.trace_object",
        content_object=order,
        args=[1, 2],
        kwargs={"foo": "bar"},
    )
    run_jobs()
    assert trace_texts() == ["<Order: Order A1> (1, 2) {'foo': 'bar'}"]


def test_reschedule_creates_a_new_job():
    job = schedule_job("0h", SAMPLE)
    again = job.reschedule("3d")
    assert again.pk != job.pk
    assert again.callable_name == SAMPLE


@job_as_parameter
def handler(job, n=5):
    """Reschedule itself, as the first documentation shows."""
    job.reschedule("3d", kwargs={"n": n + 1})


def test_a_handler_can_reschedule_itself_with_other_arguments():
    schedule_job("0h", "tests.test_first_api.handler")
    before = datetime.now()
    run_jobs()
    again = ScheduledJob.objects.get(status=Status.SCHEDULED)
    assert again.kwargs == {"n": 6}
    assert again.scheduled_at.timestamp() == pytest.approx(
        (before + timedelta(days=3)).timestamp(), abs=30
    )


def test_a_failure_ends_the_one_off_run_and_is_recorded():
    job = schedule_job("0h", "django_future.tests.failjob")
    with pytest.raises(ValueError, match="fail"):
        run_jobs()
    job.refresh_from_db()
    assert job.status == "failed"
    assert "ValueError: fail" in job.error


def test_completed_jobs_are_kept_without_the_delete_option():
    kept = schedule_job("0h", SAMPLE)
    call_command("runscheduledjobs")
    kept.refresh_from_db()
    assert kept.status == Status.COMPLETE

    deleted = schedule_job("0h", SAMPLE)
    call_command("runscheduledjobs", "-d")
    assert not ScheduledJob.objects.filter(pk=deleted.pk).exists()
