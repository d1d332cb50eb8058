"""The explanation of the status of a job."""

import re
from datetime import timedelta

import pytest

from django_future import ScheduledJob, cancel_jobs, clock, pause_queue, run_jobs, schedule_job
from django_future.diagnosis import diagnose, last_line, length, moment
from django_future.models import Worker
from django_future.status import Status
from django_future.store import Selection, backlog, store_for
from django_future.store.workers import register
from django_future.worker import maintenance
from django_future.worker.heartbeat import new_worker
from tests.shop import flaky, jobs

pytestmark = pytest.mark.django_db


@pytest.fixture
def store():
    """Return the store of the default database."""
    return store_for("default")


@pytest.fixture
def worker(store):
    """Return a function that registers a worker as alive."""

    def registered(*queues, name="host-3"):
        found = new_worker(name, Selection(queues=queues))
        found.host = "host-3"
        register(store, found)
        return found

    return registered


def reasons(job):
    [found] = ScheduledJob.objects.filter(pk=job.pk)
    return {reason.code: reason.text for reason in diagnose(found, store_for("default"))}


def claim(store, worker):
    [job] = store.claim(worker, at=store.now(), limit=1)
    return job


def overdue_job():
    """Return a job that was due two hours ago, and whose expiry was an hour ago."""
    job = schedule_job("5d", jobs.echo)
    now = clock.now()
    ScheduledJob.objects.filter(pk=job.pk).update(
        scheduled_at=clock.to_row(now - timedelta(hours=2)),
        expires_at=clock.to_row(now - timedelta(hours=1)),
    )
    return job


class TestScheduled:
    def test_the_diagnosis_of_a_job_that_is_not_due_gives_its_time(self, worker):
        worker()
        found = reasons(schedule_job(timedelta(hours=3, minutes=30), jobs.echo))
        assert list(found) == ["not_due"]
        assert re.fullmatch(r"It is due in 3 hours, at .*\d\d:\d\d:\d\d\.", found["not_due"])

    def test_the_diagnosis_of_a_job_before_a_retry_gives_the_last_error(self, worker):
        worker()
        job = flaky.charge.schedule("0s", 5)
        run_jobs(ignore_errors=True)
        found = reasons(job)["retry"]
        assert re.match(r"Another attempt is due in (1 minute|\d+ seconds?), at ", found)
        assert found.endswith("Attempt 1 of 3 failed: tests.shop.flaky.Declined: 5 declined")

    def test_the_diagnosis_names_the_paused_queue(self, worker):
        worker()
        pause_queue("mail", reason="month end")
        found = reasons(schedule_job("0s", jobs.echo, queue_name="mail"))
        assert list(found) == ["paused"]
        assert re.fullmatch(
            r"Its queue 'mail' has been paused since \d\d:\d\d:\d\d: month end\.", found["paused"]
        )

    @pytest.mark.parametrize("reason", ["", "month end"])
    def test_the_diagnosis_names_who_paused_the_queue(self, worker, reason):
        worker()
        pause_queue("mail", reason=reason, paused_by="ada")
        found = reasons(schedule_job("0s", jobs.echo, queue_name="mail"))
        because = f": {reason}" if reason else ""
        assert re.fullmatch(
            rf"Its queue 'mail' has been paused by ada since \d\d:\d\d:\d\d{because}\.",
            found["paused"],
        )

    def test_the_diagnosis_reports_that_no_worker_runs(self):
        found = reasons(schedule_job("0s", jobs.echo))
        assert found == {
            "no_worker": "No worker runs for the database 'default'. The job waits for the "
            "next `manage.py runscheduledjobs`, or for a worker: `manage.py future_worker`."
        }

    def test_the_diagnosis_does_not_count_lost_workers(self, worker):
        lost = worker()
        seen_at = clock.to_row(clock.now() - timedelta(hours=1))
        Worker.objects.filter(name=lost.name).update(seen_at=seen_at)
        assert "no_worker" in reasons(schedule_job("0s", jobs.echo))

    def test_the_diagnosis_reports_that_no_worker_serves_the_queue(self, worker):
        other = worker("default", "reports")
        found = reasons(schedule_job("0s", jobs.echo, queue_name="mail"))
        assert found["not_served"] == (
            f"No worker serves its queue 'mail': {other.name} serves default, reports. Start one "
            "with `manage.py future_worker --queue mail`, or for all queues."
        )

    def test_the_diagnosis_reports_an_unknown_handler(self, worker, order):
        worker()
        job = schedule_job("0s", "remind", content_object=order)
        text = "Worker one does not know 'remind'. It is released for a worker that does."
        ScheduledJob.objects.filter(pk=job.pk).update(error=text)
        assert reasons(job) == {"unknown_handler": text}

    def test_the_diagnosis_reports_an_overdue_job_that_is_not_marked_expired(self, worker):
        worker()
        job = overdue_job()
        assert "before a worker ran it" in reasons(job)["overdue"]

    def test_the_diagnosis_reports_a_due_job_that_waits_for_a_thread(self, worker):
        serving = worker()
        schedule_job(timedelta(seconds=-80), jobs.echo)
        found = reasons(schedule_job(timedelta(seconds=-90), jobs.echo))
        assert found == {
            "in_turn": f"It has been due for 1 minute, and waits for a thread of {serving.name}; "
            "it is the next in its queue 'default'."
        }

    def test_the_diagnosis_counts_the_jobs_that_start_before(self, worker):
        worker()
        for options in [{}, {"priority": 2}, {"priority": -1}, {"queue_name": "mail"}]:
            schedule_job(timedelta(seconds=-95), jobs.echo, **options)
        schedule_job("1h", jobs.echo, priority=5)
        job = schedule_job(timedelta(seconds=-90), jobs.echo)
        schedule_job(timedelta(seconds=-80), jobs.echo)
        assert "2 jobs are before it in its queue 'default'." in reasons(job)["in_turn"]

    def test_the_diagnosis_says_that_a_counted_number_is_a_lower_bound(self, worker, monkeypatch):
        monkeypatch.setattr(backlog, "MAX_COUNTED", 2)
        worker()
        *_, last = (schedule_job(timedelta(seconds=-90), jobs.echo) for _ in range(4))
        assert "at least 2 jobs are before it" in reasons(last)["in_turn"]

    def test_the_diagnosis_lists_several_reasons(self):
        pause_queue("mail")
        job = schedule_job("1h", jobs.echo, queue_name="mail")
        assert list(reasons(job)) == ["not_due", "paused", "no_worker"]


class TestRunning:
    def test_the_diagnosis_of_a_running_job_names_host_and_worker(self, store, worker):
        job = schedule_job("0s", jobs.echo)
        holder = worker()
        claim(store, holder)
        found = reasons(job)["running"]
        assert re.fullmatch(
            rf"It has been running since \d\d:\d\d:\d\d on host-3, by {holder.name}\.", found
        )

    def test_the_diagnosis_reports_a_claimed_job_that_has_not_started(self, store, worker):
        job = schedule_job("0s", jobs.echo)
        claim(store, worker())
        ScheduledJob.objects.update(started_at=None)
        assert "and has not started" in reasons(job)["claimed"]

    def test_the_diagnosis_reports_a_running_job_whose_worker_is_lost(self, store, worker):
        job = schedule_job("0s", jobs.echo)
        lost = worker()
        claim(store, lost)
        seen_at = clock.to_row(clock.now() - timedelta(hours=1))
        Worker.objects.filter(name=lost.name).update(seen_at=seen_at)
        assert f"Its worker {lost.name} was last seen at" in reasons(job)["lost"]
        Worker.objects.all().delete()
        assert f"Its worker {lost.name} is gone." in reasons(job)["lost"]


class TestEnded:
    def test_the_diagnosis_of_a_complete_job_says_so(self):
        job = schedule_job("0s", jobs.echo)
        run_jobs()
        assert reasons(job)["complete"].startswith("It completed at ")

    def test_the_diagnosis_of_a_failed_job_gives_the_error(self):
        job = schedule_job("0s", jobs.fail)
        run_jobs(ignore_errors=True)
        found = reasons(job)["failed"]
        assert "in attempt 1 of 1: ValueError: fail. Fix the cause, and retry the job." in found

    def test_the_diagnosis_of_an_expired_job_says_so(self):
        job = overdue_job()
        maintenance.expire(store_for("default"), clock.now())
        assert "and no worker ran it until" in reasons(job)["expired"]

    def test_the_diagnosis_of_a_cancelled_job_gives_the_reason(self):
        job = schedule_job("5d", jobs.echo)
        cancel_jobs(ScheduledJob.objects.all(), reason="the order is paid")
        assert reasons(job)["cancelled"].endswith(": the order is paid")

    def test_the_diagnosis_of_a_cancelled_job_works_without_a_reason(self):
        job = schedule_job("5d", jobs.echo)
        job.cancel()
        assert reasons(job)["cancelled"].endswith(".")

    def test_the_diagnosis_of_a_parked_job_gives_the_reason(self):
        job = schedule_job("5d", jobs.echo)
        job.status, job.error = "parked", "Its signature is not valid."
        [reason] = diagnose(job, store_for("default"))
        assert reason == ("parked", "It is parked: Its signature is not valid.")


def test_every_status_has_a_diagnosis(store):
    job = schedule_job("5d", jobs.echo)
    for status in Status.values:
        job.status = status
        assert "unknown" not in [reason.code for reason in diagnose(job, store)]


@pytest.mark.parametrize(
    ("duration", "words"),
    [
        (timedelta(seconds=1), "1 second"),
        (timedelta(seconds=59.2), "59 seconds"),
        (timedelta(minutes=90), "1 hour"),
        (timedelta(days=3, hours=2), "3 days"),
        (timedelta(seconds=-5), "0 seconds"),
    ],
)
def test_a_duration_is_shown_in_its_largest_unit(duration, words):
    assert length(duration) == words


def test_a_time_on_another_day_is_shown_with_its_date():
    now = clock.now()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", moment(now - timedelta(days=2), now))


def test_the_last_line_of_an_error_is_bounded():
    assert last_line("Traceback\n  File\nValueError: no\n\n") == "ValueError: no"
    assert len(last_line("x" * 10_000)) == 301
    assert last_line("") == ""


def test_the_last_line_of_an_exception_group_is_its_last_error():
    text = "  | ExceptionGroup: two\n  +-+--- 1 ---\n    | TypeError: two\n    +-------\n"
    assert last_line(text) == "TypeError: two"
