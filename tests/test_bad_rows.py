"""Rows written by SQL, an import or another version: a bad row never blocks other jobs."""

from datetime import UTC, datetime, timedelta
from io import StringIO
from itertools import product

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction

from django_future import ScheduledJob, clock, pause_queue, run_jobs, schedule_job
from django_future.exceptions import InvalidOption, InvalidTime
from django_future.models import Worker
from django_future.serialization import Stored
from django_future.status import Status
from django_future.store import store_for
from django_future.store.transitions import claim_one
from django_future.text import MAX_ERROR_BYTES
from tests.shop import jobs
from tests.support.admin_pages import LIST, act, body, page_of
from tests.support.rows import rewrite

pytestmark = pytest.mark.django_db(transaction=True)

DEEP = 100_000
TEXTS = [
    "",
    "nonsense",
    "5",
    "null",
    "[",
    '"words"',
    '{"__type__": 5}',
    '{"__type__": "model"}',
    '{"__type__": "model", "model": "shop.order", "pk": 1, "using": "nowhere"}',
    '{"__type__": "model", "model": "no.model", "pk": [], "using": null}',
    '{"__type__": "pickle", "class": "x", "value": "forged"}',
    '{"__type__": "decimal", "value": "x"}',
    '{"colour": "red"}',
    '{"on_delete": []}',
    '{"timeout": "nonsense"}',
    '{"backoff": 5}',
    "[" * DEEP + "]" * DEEP,
    '{"a":' * DEEP + "1" + "}" * DEEP,
]


def set_column(name, value, **where):
    """Write a value with SQL, without the models."""
    condition, parameters = " AND ".join(f"{key} = %s" for key in where), where.values()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE django_future_scheduledjob SET {name} = {value} WHERE {condition}",
            list(parameters),
        )


def with_texts(*columns):
    """Return due jobs, each with one of the texts in one of the columns."""
    found = []
    for column, text in product(columns, TEXTS):
        job = schedule_job("0s", jobs.echo)
        rewrite(job, **{column: Stored(text)})
        found.append(ScheduledJob.objects.get(pk=job.pk))
    return found


def value_of(job, column):
    """Return the stored value of a column."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {column} FROM django_future_scheduledjob WHERE id = %s", [job.pk])
        return cursor.fetchone()[0]


def status_of(job):
    job.refresh_from_db()
    return job.status


class TestBadTimes:
    @pytest.mark.parametrize("column", ["scheduled_at", "expires_at", "finished_at", "created_at"])
    @pytest.mark.parametrize(
        "value",
        [
            pytest.param(value, marks=pytest.mark.only_on(vendor, reason=f"only {vendor} takes it"))
            for vendor, values in {
                "postgresql": ["'infinity'", "'-infinity'", "'20000-01-01'", "'0044-03-15 BC'"],
                "mysql": ["'0000-00-00 00:00:00'", "'2030-00-00 00:00:00'", "'2030-05-00'"],
                "sqlite": [
                    "''", "'garbage'", "12345", "1.5", "'20000-01-01 00:00:00'", "x'ff'",
                    "'2030-13-45 00:00:00'", "'2030-02-30 00:00:00'", "'0000-00-00 00:00:00'",
                    "CAST(x'ff' AS TEXT)", "'2030-01-01'", "'2030-01-01 00:00:00' || x'ff'",
                ],
            }.items()
            for value in values
        ],
    )  # fmt: skip
    def test_the_database_refuses_a_time_that_cannot_be_read(self, column, value):
        job = schedule_job("1h", jobs.echo)
        with pytest.raises(DatabaseError):
            set_column(column, value, id=job.pk)
        assert status_of(job) == Status.SCHEDULED

    @pytest.mark.parametrize("at", ["0001-01-01T12:00Z", "9999-12-31T12:00Z"])
    def test_a_time_at_the_ends_of_the_calendar_is_refused(self, at):
        with pytest.raises(InvalidTime, match="is out of range"):
            schedule_job(at, jobs.echo, expires=None)

    @pytest.mark.parametrize(
        "at", ["0001-01-02T12:00Z", "2032-12-31T23:59:59.999999Z", "9999-12-30T00:00Z"]
    )
    def test_the_earliest_and_latest_allowed_times_are_stored_and_shown(self, at, admin_client):
        job = schedule_job(at, jobs.echo, expires=None)
        job.refresh_from_db()
        assert clock.from_row(job.scheduled_at) == datetime.fromisoformat(at)
        body(admin_client.get(LIST))
        body(admin_client.get(page_of(job)))

    def test_a_retried_job_whose_expiry_exceeds_the_calendar_never_expires(self):
        job = schedule_job("1d", jobs.echo, expires="9999-12-29T00:00Z")
        job.cancel()
        long_ago = clock.to_row(clock.now() - timedelta(days=9000))
        ScheduledJob.objects.update(scheduled_at=long_ago, created_at=long_ago)
        job.refresh_from_db()
        job.retry()
        assert job.expires_at is None


class TestConnectionTimeZone:
    @pytest.fixture(autouse=True)
    def berlin(self, monkeypatch, settings):
        """Set TIME_ZONE in DATABASES to a zone with summer time."""
        settings.USE_TZ = True  # without it, a connection has no time zone

        def forget():
            connection.close()
            for name in ("timezone", "timezone_name"):
                vars(connection).pop(name, None)

        with monkeypatch.context() as patch:
            patch.setitem(connection.settings_dict, "TIME_ZONE", "Europe/Berlin")
            forget()
            yield
        forget()

    @pytest.mark.parametrize("minute", [15, 75])
    def test_the_connection_time_zone_does_not_move_a_job_in_a_repeated_hour(self, minute):
        at = datetime(2037, 10, 25, 0, tzinfo=UTC) + timedelta(minutes=minute)
        job = schedule_job(at, jobs.echo, expires="10s")
        job.refresh_from_db()
        assert clock.from_row(job.scheduled_at) == at
        assert clock.from_row(job.expires_at) == at + timedelta(seconds=10)
        run_jobs(now=at - timedelta(seconds=1))
        assert status_of(job) == Status.SCHEDULED
        run_jobs(now=at)
        assert status_of(job) == Status.COMPLETE
        assert clock.now() - clock.from_row(job.finished_at) < timedelta(minutes=1)


class TestCounters:
    @pytest.mark.parametrize(
        ("column", "value"),
        [("attempts", 2**15 - 1), ("attempts", 2**31 - 1), ("lease", 2**63 - 1)],
    )
    def test_a_counter_at_its_maximum_does_not_block_claims(self, column, value, trace_texts):
        job = schedule_job("0s", jobs.trace, args=["counted"], priority=1)
        ScheduledJob.objects.update(**{column: value})
        schedule_job("0s", jobs.trace, args=["the next"])
        run_jobs()
        assert trace_texts() == ["counted", "the next"]
        assert status_of(job) == Status.COMPLETE

    @pytest.mark.parametrize(("column", "value"), [("attempts", 2**31 - 1), ("lease", 2**63 - 1)])
    def test_a_counter_at_its_maximum_does_not_block_the_claim_of_one_job(self, column, value):
        job = schedule_job("0s", jobs.echo)
        ScheduledJob.objects.update(**{column: value})
        claimed = claim_one(store_for("default"), Worker(name="any"), job.pk)
        assert (claimed.status, claimed.lease) == (Status.RUNNING, 1)

    def test_a_job_with_many_attempts_can_fail_and_be_retried(self):
        job = schedule_job("0s", jobs.fail, max_attempts=2)
        ScheduledJob.objects.update(attempts=2**15 - 1, max_attempts=2**15 - 1)
        run_jobs(ignore_errors=True)
        assert job.failed_attempts.get().number == 2**15
        job.refresh_from_db()
        job.cancel()
        job.retry()
        assert job.max_attempts == 2**15 - 1


class TestNames:
    def test_callables_that_differ_in_case_do_not_share_a_key(self, monkeypatch):
        def Echo():  # noqa: N802
            return "another"

        Echo.__module__, Echo.__qualname__ = jobs.__name__, "Echo"
        monkeypatch.setattr(jobs, "Echo", Echo, raising=False)
        one = schedule_job("1d", jobs.echo, unique="key")
        another = schedule_job("1d", Echo, unique="key")
        assert one != another

    @pytest.mark.parametrize("name", ["Mail", "mail ", "máil"])
    def test_queue_names_that_differ_in_case_or_accents_are_different_queues(
        self, name, trace_texts
    ):
        pause_queue("mail")
        schedule_job("0s", jobs.trace, queue_name=name)
        assert ScheduledJob.objects.filter(queue_name="mail").count() == 0
        run_jobs()
        assert trace_texts() == ["ran"]


class TestBadText:
    @pytest.fixture
    def next_job(self):
        """Return a job that is due last."""
        return schedule_job("0s", jobs.echo, priority=-1)

    def test_bad_text_ends_its_job_and_blocks_no_other(self, next_job):
        bad = with_texts("args", "kwargs", "options")
        call_command("runscheduledjobs", "-i", verbosity=0, stderr=StringIO())
        assert status_of(next_job) == Status.COMPLETE
        for job in bad:
            assert status_of(job) in {Status.FAILED, Status.COMPLETE, Status.CANCELLED}

    def test_a_job_with_bad_text_can_be_copied_and_retried(self):
        for job in with_texts("args", "kwargs", "options"):
            copy = job.reschedule("1d")
            job.cancel()
            job.retry()
            for column in ("args", "kwargs", "options"):
                stored = {value_of(one, column) for one in (job, copy)}
                assert len(stored) == 1
            assert status_of(copy) == status_of(job) == Status.SCHEDULED

    def test_jobs_with_bad_text_work_in_the_admin(self, admin_client):
        for job in with_texts("args", "kwargs", "options", "return_value"):
            body(admin_client.get(page_of(job)))
        body(admin_client.get(LIST))
        body(admin_client.get(f"{LIST}?status__exact=scheduled"))
        body(admin_client.get(f"{LIST}?q=tests"))
        body(admin_client.get(f"{LIST}{job.pk}/delete/"))
        bad = list(ScheduledJob.objects.all())
        for action in ("cancel_selected", "retry_selected", "cancel_running", "run_again"):
            assert act(admin_client, action, *bad)
        act(admin_client, "delete_selected", *bad)


@pytest.mark.only_on("sqlite", reason="only SQLite takes a text that is not UTF-8")
class TestTextThatIsNotUTF8:
    COLUMNS = ("callable_name", "args", "kwargs", "options", "queue_name", "object_id")

    @pytest.fixture(params=COLUMNS)
    def bad_job(self, request):
        """Return a due job whose row cannot be read."""
        job = schedule_job("0s", jobs.echo, priority=1)
        set_column(request.param, "CAST(x'22ff22' AS TEXT)", id=job.pk)
        return job

    def test_text_that_is_not_utf8_fails_its_job_and_blocks_no_other(self, bad_job):
        others = [schedule_job("0s", jobs.echo, priority=number) for number in (0, 1, 2)]
        pause_queue("another")
        call_command("runscheduledjobs", "-i", verbosity=0, stderr=StringIO())
        assert {status_of(job) for job in others} == {Status.COMPLETE}
        assert status_of(bad_job) == Status.FAILED
        assert "not UTF-8" in bad_job.error

    def test_jobs_with_text_that_is_not_utf8_work_in_the_admin(self, bad_job, admin_client):
        body(admin_client.get(LIST))
        body(admin_client.get(page_of(bad_job)))
        body(admin_client.get(f"{LIST}?status__exact=scheduled"))
        act(admin_client, "cancel_selected", bad_job)
        act(admin_client, "retry_selected", bad_job)
        act(admin_client, "run_again", bad_job)
        body(admin_client.get(f"{LIST}{bad_job.pk}/delete/"))

    @pytest.mark.parametrize("page", ["history", "duplicate"])
    def test_each_page_of_a_job_opens_with_text_that_is_not_utf8(self, bad_job, page, admin_client):
        body(admin_client.get(f"{LIST}{bad_job.pk}/{page}/", follow=True))


class TestBounds:
    def test_a_long_cancel_reason_is_cut_with_a_mark(self):
        job = schedule_job("1h", jobs.echo)
        job.cancel(reason=f"begin\0{'x' * 2_000_000}end")
        assert len(job.error.encode()) <= MAX_ERROR_BYTES
        assert "bytes are cut here" in job.error
        assert job.error.startswith("begin\\0")
        assert job.error.endswith("end")


class TestOptions:
    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("5", "InvalidOption: The options of the job are 5, not a dictionary."),
            ('{"colour": "red"}', "InvalidOption: The options of the job contain 'colour'"),
            ('{"on_delete": []}', "InvalidOption"),
            ('{"timeout": "nonsense"}', "InvalidOption: timeout: 'nonsense' is not a duration."),
            ("nonsense", "InvalidArguments"),
        ],
    )
    def test_invalid_stored_options_fail_the_job_in_one_attempt(self, text, words):
        job = schedule_job("0s", jobs.echo)
        rewrite(options=Stored(text))
        run_jobs(ignore_errors=True)
        assert status_of(job) == Status.FAILED
        assert job.attempts == 1
        assert words in job.error

    def test_a_job_with_invalid_stored_options_cannot_be_rescheduled_with_new_ones(self):
        job = schedule_job("0s", jobs.echo)
        rewrite(options=Stored("5"))
        job.refresh_from_db()
        with pytest.raises(InvalidOption, match="The options of job"):
            job.reschedule("1d", timeout="1s")
