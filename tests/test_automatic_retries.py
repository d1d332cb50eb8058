"""Failed attempts, backoff, Retry and Cancel."""

from datetime import timedelta

import pytest

from django_future import Exponential, ScheduledJob, clock, job, run_jobs, schedule_job, signals
from django_future.exceptions import InvalidOption, InvalidTime
from django_future.models import JobAttempt
from django_future.retries import Retry, delay_after
from django_future.status import Status
from django_future.store import store_for
from django_future.testing.travel import stopped_clock
from tests.shop import flaky
from tests.shop.models import Trace
from tests.support.receivers import connected
from tests.support.rows import rewrite

ERROR = ValueError("failed")


def run(scheduled, now=None):
    """Execute due jobs, and return when the job is due next."""
    run_jobs(ignore_errors=True, now=now)
    scheduled.refresh_from_db()
    return clock.from_row(scheduled.scheduled_at)


def exhaust(scheduled):
    """Execute a job at each of its times until it is no longer scheduled."""
    at = None
    while scheduled.status == Status.SCHEDULED:
        at = run(scheduled, now=at)


def delay_of(scheduled):
    """Execute due jobs while the clock is stopped, and return the delay of the retry."""
    now = clock.now()
    with stopped_clock(now):
        return run(scheduled) - now


class TestBackoff:
    def test_exponential_backoff_doubles_up_to_its_cap(self):
        backoff = Exponential(base="1s", cap="1m")
        for attempt, longest in [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (1000, 60)]:
            delays = [delay_after(attempt, ERROR, backoff).total_seconds() for _ in range(50)]
            assert longest / 2 <= min(delays) <= max(delays) <= longest

    def test_exponential_backoff_is_randomised(self):
        assert len({delay_after(3, ERROR, "exponential") for _ in range(20)}) > 1

    @pytest.mark.parametrize(("attempt", "minutes"), [(1, 1), (2, 60), (3, 60), (99, 60)])
    def test_a_list_backoff_repeats_its_last_delay(self, attempt, minutes):
        assert delay_after(attempt, ERROR, ["1m", "1h"]) == timedelta(minutes=minutes)

    def test_a_function_backoff_receives_the_attempt_and_the_exception(self):
        assert delay_after(3, ERROR, flaky.minutes) == timedelta(minutes=3)
        assert delay_after(3, flaky.Declined(), flaky.minutes) == timedelta(minutes=6)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"backoff": "linear"}, "'linear'.* Give 'exponential'"),
            ({"backoff": 5}, "Give 'exponential'"),
            ({"backoff": []}, "Give 'exponential'"),
            ({"backoff": ["1m", "soon"], "max_attempts": 3}, "'soon' is not a duration"),
            ({"backoff": [timedelta(-1)], "max_attempts": 2}, "A delay of backoff is"),
            ({"backoff": ["1m", "1h"], "max_attempts": 2}, "Give max_attempts=3"),
            ({"max_attempts": 0}, "from 1"),
            ({"max_attempts": True}, "from 1"),
            ({"max_attempts": "3"}, "from 1"),
        ],
    )
    def test_an_invalid_backoff_or_max_attempts_is_refused(self, options, message):
        with pytest.raises(InvalidOption, match=message):
            job(**options)

    @pytest.mark.parametrize("arguments", [{"base": "0s"}, {"cap": "soon"}, {"base": 5}])
    def test_exponential_refuses_invalid_durations(self, arguments):
        with pytest.raises(InvalidOption, match="of Exponential"):
            Exponential(**arguments)

    @pytest.mark.parametrize("cap", ["60d", "36525d"])
    def test_exponential_backoff_never_overflows(self, cap):
        backoff = Exponential(base="1d", cap=cap)
        for attempt in (1, 31, 64, 1000, 32_767, 10**9):
            assert delay_after(attempt, ERROR, backoff) <= timedelta(days=int(cap[:-1]))

    @pytest.mark.parametrize(
        "backoff", [[timedelta.max], lambda *_: timedelta.max, lambda *_: "1w" + 400 * " " + "x"]
    )
    def test_a_backoff_delay_that_is_too_long_is_refused(self, backoff):
        with pytest.raises(InvalidOption, match="Give at most"):
            delay_after(1, ERROR, backoff)

    def test_retry_after_a_delay_that_no_datetime_can_hold_is_refused(self):
        with pytest.raises(InvalidTime, match="Give at most 36525 days"):
            Retry(after=timedelta.max)

    def test_retry_after_an_invalid_duration_is_refused(self):
        with pytest.raises(InvalidTime, match="'soon'"):
            Retry(after="soon")


@pytest.mark.django_db(transaction=True)
class TestFailedAttempts:
    def test_a_failed_attempt_is_followed_by_another_after_a_delay(self):
        scheduled = flaky.charge.schedule("0s", 5)
        assert delay_of(scheduled) == timedelta(minutes=1)
        assert scheduled.status == Status.SCHEDULED
        assert not Trace.objects.exists()

    def test_the_last_failed_attempt_fails_the_job(self):
        scheduled = flaky.charge.schedule("0s", 5)
        exhaust(scheduled)
        assert (scheduled.status, scheduled.attempts) == (Status.FAILED, 3)
        assert "5 declined" in scheduled.error
        assert not Trace.objects.exists()

    def test_a_successful_attempt_clears_the_error(self):
        scheduled = flaky.charge.schedule("0s", 5)
        at = run(scheduled)
        rewrite(kwargs={"fail": False})
        run(scheduled, now=at)
        assert (scheduled.status, scheduled.error) == (Status.COMPLETE, "")
        assert Trace.objects.count() == 1

    def test_failed_attempts_are_recorded(self):
        scheduled = flaky.charge.schedule("0s", 5)
        exhaust(scheduled)
        first, second, third = JobAttempt.objects.filter(job=scheduled).order_by("number")
        assert [first.number, second.number, third.number] == [1, 2, 3]
        assert first.exception == "tests.shop.flaky.Declined"
        assert "5 declined" in first.traceback
        assert first.started_at <= first.finished_at
        assert first.worker
        assert first.worker != third.worker

    def test_a_retry_waits_as_the_backoff_function_returns(self):
        scheduled = flaky.charge_slowly.schedule("0s")
        assert delay_of(scheduled) == timedelta(minutes=2)

    def test_a_retry_uses_the_default_backoff_if_the_function_is_wrong(self, caplog):
        scheduled = flaky.charge_badly.schedule("0s")
        assert timedelta() < delay_of(scheduled) <= timedelta(seconds=10)
        assert scheduled.status == Status.SCHEDULED
        assert "'soon'" in caplog.text
        assert "'soon' is not a duration" in scheduled.error

    def test_an_attempt_is_the_last_if_the_next_would_be_after_the_expiry(self):
        scheduled = flaky.charge.using(expires="30s").schedule("0s", 5)
        run(scheduled)
        assert scheduled.status == Status.FAILED
        assert "no time for another attempt" in scheduled.error

    def test_job_retried_is_sent_and_logged(self, caplog):
        received = []
        with connected(signals.job_retried, lambda exception, **_: received.append(str(exception))):
            run(flaky.charge.schedule("0s", 5))
        assert received == ["5 declined"]
        assert "will be tried again" in caplog.text
        assert "ERROR" not in caplog.text

    def test_run_jobs_continues_after_an_attempt_that_will_be_retried(self):
        flaky.charge.schedule("0s", 5)
        run_jobs()

    def test_schedule_job_can_set_max_attempts_and_backoff(self):
        scheduled = schedule_job("0s", "tests.shop.jobs.fail", max_attempts=2, backoff=["3m"])
        assert delay_of(scheduled) == timedelta(minutes=3)

    def test_rescues_do_not_count_as_failed_attempts(self):
        scheduled = flaky.charge.schedule("0s", 5)
        ScheduledJob.objects.update(rescues=3, attempts=3)
        run(scheduled)
        assert scheduled.status == Status.SCHEDULED

    def test_retries_keep_the_lifetime_of_the_job(self):
        scheduled = flaky.charge.schedule("0s", 5)
        first_due_at = scheduled.scheduled_at
        at = run(scheduled)
        run(scheduled, now=at)
        assert scheduled.first_due_at == first_due_at
        assert scheduled.lifetime == scheduled.reschedule("1d").lifetime == timedelta(days=7)

    def test_a_retry_by_hand_after_failed_attempts_keeps_the_lifetime(self):
        scheduled = flaky.charge.schedule("0s", 5)
        exhaust(scheduled)
        scheduled.retry()
        assert (scheduled.first_due_at, scheduled.lifetime) == (None, timedelta(days=7))

    def test_a_job_keeps_its_unique_key_between_attempts(self):
        scheduled = flaky.charge.schedule("0s", 5)
        ScheduledJob.objects.update(unique_key="five")
        run(scheduled)
        assert scheduled.unique_key == "five"
        exhaust(scheduled)
        assert scheduled.unique_key is None

    def test_failed_attempts_are_deleted_with_their_job(self):
        scheduled = flaky.charge.schedule("0s", 5)
        run(scheduled)
        scheduled.delete()
        assert not JobAttempt.objects.exists()


@pytest.mark.django_db(transaction=True)
class TestRetryException:
    def test_raising_retry_is_no_failure(self):
        scheduled = flaky.poll.schedule("0s")
        assert delay_of(scheduled) == timedelta(minutes=5)
        assert (scheduled.status, scheduled.error) == (Status.SCHEDULED, "")
        assert not JobAttempt.objects.exists()

    def test_raising_retry_is_not_limited_by_max_attempts(self):
        scheduled = flaky.poll.schedule("0s", until=5)
        exhaust(scheduled)
        assert (scheduled.status, scheduled.return_value) == (Status.COMPLETE, "after 5")

    def test_raising_retry_without_delay_uses_the_backoff(self):
        assert delay_of(flaky.poll_patiently.schedule("0s")) == timedelta(minutes=7)

    def test_raising_retry_fails_the_job_if_it_would_expire(self):
        scheduled = flaky.poll.using(expires="4m").schedule("0s")
        run(scheduled)
        assert scheduled.status == Status.FAILED
        assert "no time for another attempt" in scheduled.error


@pytest.mark.django_db(transaction=True)
class TestCancelException:
    def test_raising_cancel_cancels_the_job(self):
        scheduled = flaky.cancel_running.schedule("0s", "no longer wanted")
        run_jobs()
        scheduled.refresh_from_db()
        assert (scheduled.status, scheduled.error) == (Status.CANCELLED, "no longer wanted")
        assert scheduled.finished_at
        assert not Trace.objects.exists()
        assert not JobAttempt.objects.exists()

    def test_raising_cancel_sends_job_finished_without_an_exception(self):
        received = []
        with connected(signals.job_finished, lambda exception, **_: received.append(exception)):
            run(flaky.cancel_running.schedule("0s"))
        assert received == [None]


@pytest.mark.django_db(transaction=True)
class TestNotAtomic:
    def test_a_job_without_atomic_keeps_its_writes_when_it_fails(self, trace_texts):
        scheduled = flaky.trace_in_steps.schedule("0s", fail=True)
        run(scheduled)
        assert scheduled.status == Status.FAILED
        assert trace_texts() == ["first"]

    def test_a_job_without_atomic_runs_outside_a_transaction(self, trace_texts):
        scheduled = flaky.trace_in_steps.schedule("0s")
        run(scheduled)
        assert (scheduled.status, scheduled.return_value) == (Status.COMPLETE, False)
        assert trace_texts() == ["first", "second"]

    def test_a_completed_job_without_atomic_can_be_deleted(self):
        flaky.trace_in_steps.schedule("0s")
        run_jobs(delete_completed=True)
        assert not ScheduledJob.objects.exists()


@pytest.mark.django_db(transaction=True)
class TestNotRescuable:
    def lose(self, scheduled, started_at):
        """Claim a job as a worker that is then lost, with or without a start."""
        from django_future.models import Worker

        store = store_for("default")
        store.claim(Worker(name="lost"), at=store.now(), limit=1)
        ScheduledJob.objects.update(started_at=started_at)
        return run(scheduled)

    def test_a_started_job_without_rescue_is_not_run_again(self, trace_texts):
        scheduled = schedule_job("0s", "tests.shop.jobs.trace", rescue=False)
        self.lose(scheduled, started_at=scheduled.created_at)
        assert scheduled.status == Status.FAILED
        assert "rescue=False" in scheduled.error
        assert trace_texts() == []

    def test_a_job_without_rescue_that_had_not_started_runs_again(self, trace_texts):
        scheduled = schedule_job("0s", "tests.shop.jobs.trace", rescue=False)
        self.lose(scheduled, started_at=None)
        assert scheduled.status == Status.COMPLETE
        assert trace_texts() == ["ran"]

    def test_a_claim_of_a_job_without_rescue_does_not_set_started_at(self):
        schedule_job("0s", "tests.shop.jobs.trace", rescue=False)
        store = store_for("default")
        from django_future.models import Worker

        [claimed] = store.claim(Worker(name="lost"), at=store.now(), limit=1)
        assert (claimed.started_at, ScheduledJob.objects.get().started_at) == (None, None)
