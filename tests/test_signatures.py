"""The signature of rows: rows that SQL changed are parked until an operator signs them."""

import json

import pytest
from django.db import connection

from django_future import ScheduledJob, run_jobs, schedule_job, schedule_jobs, signals
from django_future.exceptions import NotRetryable, NotSigned
from django_future.serialization import Stored
from django_future.status import Status
from django_future.store import store_for
from django_future.testing import run_due_jobs
from django_future.worker.loop import Limits
from django_future.worker.maintenance import prune
from django_future.worker.process import WorkerOptions, run_worker
from tests.shop import jobs
from tests.shop.models import Order, Parcel
from tests.support.receivers import connected

pytestmark = pytest.mark.django_db(transaction=True)

SIGNED = {
    "callable_name": "tests.shop.jobs.echo",
    "args": '["forged"]',
    "kwargs": '{"text": "forged"}',
    "options": '{"atomic": false}',
    "object_id": "2",
    "object_database": "other",
    "task_backend": "forged",
}


def tamper(job=None, **columns):
    """Overwrite columns of a job, or of all jobs, with SQL."""
    assignments = ", ".join(f"{column} = %s" for column in columns)
    where, key = (" WHERE id = %s", [job.pk]) if job else ("", [])
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE django_future_scheduledjob SET {assignments}{where}", [*columns.values(), *key]
        )


def burst():
    run_worker(WorkerOptions(alias="default", limits=Limits(burst=True)))


def reload(job):
    return ScheduledJob.objects.get(pk=job.pk)


class TestSignedRows:
    def test_jobs_run_from_every_way_of_scheduling(self, order, trace_texts):
        schedule_job("0s", jobs.trace, args=["one"])
        schedule_jobs({"when": "0s", "callable": jobs.trace, "args": [n]} for n in ("a", "b"))
        schedule_job("0s", jobs.trace, args=["key"], unique="key")
        schedule_job("1d", jobs.trace, args=["copy"]).reschedule("0s", timeout="1m")
        schedule_job("0s", "note", order, args=["method"])
        run_jobs()
        assert [*trace_texts()[:5], trace_texts()[5][-6:]] == [
            "one",
            "a",
            "b",
            "key",
            "copy",
            "method",
        ]

    def test_a_job_saved_with_the_orm_runs(self, trace_texts):
        at = schedule_job("1d", jobs.trace).created_at
        values = {"callable_name": "tests.shop.jobs.trace", "scheduled_at": at}
        ScheduledJob(**values, args=["saved"]).save()
        ScheduledJob.objects.bulk_create(
            [ScheduledJob(**values, args=[text], kwargs={}) for text in ("in", "bulk")]
        )
        job = ScheduledJob(**values, object_id=None)
        job.save()
        job.args = ["changed"]
        job.save()
        run_jobs()
        assert trace_texts() == ["saved", "in", "bulk", "changed"]

    def test_a_job_saved_with_a_number_as_object_id_runs(self, order):
        job = schedule_job("1d", "ring", order)
        copy = ScheduledJob(
            callable_name="ring",
            scheduled_at=job.created_at,
            object_id=order.pk,
            content_type=job.content_type,
        )
        copy.save()
        run_jobs()
        assert reload(copy).return_value == "A1: ring"

    def test_a_job_that_code_changed_and_saved_runs(self, order, trace_texts):
        job = reload(schedule_job("0s", jobs.echo, args=["old"]))
        job.callable_name, job.args = "tests.shop.jobs.trace", ["new"]
        job.save()
        run_jobs()
        assert trace_texts() == ["new"]

    def test_a_job_saved_with_update_fields_runs(self, trace_texts):
        job = reload(schedule_job("0s", jobs.trace, args=["old"]))
        job.args = ["new"]
        job.save(update_fields=["args"])
        run_jobs()
        assert trace_texts() == ["new"]

    @pytest.mark.parametrize("text", ["ü 🫠 \u2028 \x85", "' \" \\ \\n \n", "x" * 100_000])
    def test_a_signed_job_with_any_text_runs(self, text, trace_texts):
        schedule_job("0s", jobs.trace, args=[text])
        parcel = Order.objects.create(number="A2")
        schedule_job("0s", jobs.trace_object, parcel, kwargs={"text": text})
        run_jobs()
        assert trace_texts()[0] == text
        assert len(trace_texts()) == 2

    def test_a_signed_job_runs_again_after_retries(self, trace_texts):
        job = schedule_job("0s", jobs.fail, args=[], max_attempts=2, backoff=["0s"])
        run_jobs(ignore_errors=True)
        run_jobs(ignore_errors=True)
        job = reload(job)
        assert job.status == Status.FAILED
        job.retry()
        run_jobs(ignore_errors=True)
        assert reload(job).attempts == 3

    def test_columns_outside_the_signature_can_change(self):
        schedule_job("1d", jobs.echo)
        ScheduledJob.objects.update(priority=5, queue_name="other", max_attempts=9, expires_at=None)
        run_jobs(now="2d")
        assert ScheduledJob.objects.get().status == Status.COMPLETE


class TestSecretKey:
    def test_another_secret_key_parks_waiting_jobs(self, settings, trace_texts):
        job = schedule_job("0s", jobs.trace)
        settings.SECRET_KEY = "of another environment"
        run_jobs()
        assert reload(job).status == Status.PARKED
        assert trace_texts() == []

    def test_a_fallback_key_verifies_the_signature(self, settings, trace_texts):
        schedule_job("0s", jobs.trace, args=["old key"])
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
        settings.SECRET_KEY = "the new one"
        run_jobs()
        assert trace_texts() == ["old key"]

    def test_saving_a_job_signs_it_with_the_current_key(self, settings, trace_texts):
        job = schedule_job("0s", jobs.trace, args=["signed again"])
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
        settings.SECRET_KEY = "the new one"
        reload(job).save()
        settings.SECRET_KEY_FALLBACKS = []
        run_jobs()
        assert trace_texts() == ["signed again"]


class TestForgedRows:
    @pytest.mark.parametrize("run", [burst, run_jobs])
    @pytest.mark.parametrize("column", SIGNED)
    def test_a_forged_row_is_parked_and_blocks_no_other(self, run, column, order, trace_texts):
        Order.objects.create(number="B2")
        job = schedule_job("0s", jobs.trace_object, order, args=["x"], priority=1, unique="key")
        schedule_job("0s", jobs.trace, args=["the next"])
        tamper(job, **{column: SIGNED[column]})
        run()
        run()
        job.refresh_from_db()
        assert trace_texts() == ["the next"]
        assert (job.status, job.attempts, job.lease, job.worker) == (Status.PARKED, 0, 1, "")
        assert (job.started_at, job.finished_at, job.unique_key) == (None, None, None)
        assert job.error.startswith("The signature is not valid: SQL changed the row")

    def test_a_row_with_a_forged_content_type_is_parked(self, order):
        Parcel.objects.create()
        job = schedule_job("0s", "ring", order)
        other = schedule_job("1d", jobs.trace_object, Parcel.objects.create())
        tamper(job, content_type_id=other.content_type_id)
        run_jobs()
        assert reload(job).status == Status.PARKED

    @pytest.mark.parametrize("signature", ["", "x" * 22, "é" * 22, "'; --"])
    def test_a_row_with_an_invalid_signature_is_parked(self, signature, trace_texts):
        job = schedule_job("0s", jobs.trace)
        tamper(signature=signature)
        run_jobs()
        assert reload(job).status == Status.PARKED
        assert trace_texts() == []

    def test_the_error_of_a_row_without_a_signature_says_so(self):
        job = schedule_job("0s", jobs.trace)
        tamper(signature="")
        run_jobs()
        assert reload(job).error.startswith("The row has no signature: code of this project did")

    def test_a_row_with_the_signature_of_another_row_is_parked(self):
        job, other = schedule_job("0s", jobs.echo), schedule_job("1d", jobs.trace)
        tamper(job, signature=other.signature)
        run_jobs()
        assert reload(job).status == Status.PARKED

    def test_text_moved_between_columns_breaks_the_signature(self, order):
        job = schedule_job("0s", "ring", order)
        number = str(order.pk)
        tamper(job, callable_name=f"ring{number}", object_id="")
        run_jobs()
        assert reload(job).status == Status.PARKED

    def test_a_parked_job_sends_only_job_parked(self):
        job = schedule_job("0s", jobs.echo)
        tamper(signature="")
        heard, started = [], []
        with (
            connected(signals.job_parked, lambda **given: heard.append(given)),
            connected(signals.job_started, lambda **given: started.append(given)),
            connected(signals.job_finished, lambda **given: started.append(given)),
        ):
            run_jobs()
        assert [(one["job"].pk, type(one["exception"])) for one in heard] == [(job.pk, NotSigned)]
        assert started == []

    def test_a_parked_job_is_logged_in_one_line(self, caplog):
        schedule_job("0s", jobs.echo)
        tamper(callable_name="x\nERROR all is lost")
        run_jobs()
        [line] = caplog.messages
        assert "'x\\nERROR all is lost' is parked: The signature is not valid" in line

    def test_run_due_jobs_raises_for_a_forged_row(self):
        schedule_job("0s", jobs.echo)
        ScheduledJob.objects.update(args=[1])
        with pytest.raises(NotSigned, match="future_sign"):
            run_due_jobs()

    def test_a_forged_row_does_not_count_as_the_existing_unique_job(self, trace_texts):
        forged = schedule_job("0s", jobs.trace, unique="key")
        tamper(forged, args='["forged"]')
        real = schedule_job("0s", jobs.trace, args=["real"], unique="key")
        run_jobs()
        assert real != forged
        assert trace_texts() == ["real"]
        assert reload(forged).status == Status.PARKED


class TestForgedRowsRemainUnsigned:
    @pytest.fixture
    def forged(self):
        """Return a due job, loaded from a row that SQL has changed."""
        job = schedule_job("0s", jobs.echo)
        tamper(callable_name="tests.shop.jobs.trace", args='["forged"]')
        return reload(job)

    @pytest.fixture(autouse=True)
    def no_trace(self, trace_texts):
        """Assert that the job is parked in the end, and has written nothing."""
        yield
        run_jobs()
        assert trace_texts() == []
        assert ScheduledJob.objects.parked().exists()

    def test_saving_an_unrelated_change_does_not_sign_a_forged_row(self, forged):
        forged.priority = 5
        forged.save()
        assert reload(forged).priority == 5

    def test_saving_a_signed_column_does_not_sign_a_forged_row(self, forged):
        forged.kwargs = {}
        forged.save()

    def test_saving_a_copy_does_not_sign_a_forged_row(self, forged):
        forged.pk, forged._state.adding = None, True
        forged.save()

    def test_bulk_create_does_not_sign_a_forged_row(self, forged):
        forged.pk = None
        ScheduledJob.objects.bulk_create([forged])

    def test_the_store_does_not_sign_a_forged_row(self, forged):
        forged.pk, forged._state.adding = None, True
        store_for("default").add([forged])

    def test_saving_a_refreshed_job_does_not_sign_a_forged_row(self, forged):
        for fields in (None, ["args"], ["callable_name"]):
            job = ScheduledJob(pk=forged.pk, callable_name=forged.callable_name)
            job.scheduled_at = job.created_at = forged.created_at
            job._state.adding, job._state.db = False, "default"
            job.refresh_from_db(fields=fields)
            job.save()

    def test_saving_a_deferred_job_does_not_sign_a_forged_row(self, forged):
        job = ScheduledJob.objects.only("priority").get()
        assert job.args == ["forged"]
        job.priority = 5
        job.save()
        job.save(update_fields=["args"])

    def test_reschedule_refuses_a_forged_row(self, forged):
        with pytest.raises(NotSigned, match="is not valid"):
            forged.reschedule("0s")
        with pytest.raises(NotSigned):
            ScheduledJob.objects.only("pk").get().reschedule("0s")

    def test_retry_does_not_sign_a_forged_row(self, forged):
        forged.cancel()
        forged.retry()


class TestCopies:
    def test_reschedule_copies_a_deferred_job_if_its_row_is_signed(self, trace_texts):
        schedule_job("1d", jobs.trace, args=["copied"])
        job = ScheduledJob.objects.only("pk").get()
        assert job.args == ["copied"]
        job.reschedule("0s")
        run_jobs()
        assert trace_texts() == ["copied"]


class TestParkedJobs:
    @pytest.fixture
    def parked(self):
        """Return a parked job."""
        job = schedule_job("0s", jobs.echo)
        tamper(signature="")
        run_jobs()
        return reload(job)

    def test_a_parked_job_can_be_cancelled(self, parked):
        parked.cancel(reason="of no use")
        assert reload(parked).status == Status.CANCELLED

    def test_a_parked_job_cannot_be_retried(self, parked):
        with pytest.raises(NotRetryable, match="future_sign"):
            parked.retry()

    def test_a_parked_job_does_not_expire(self, parked):
        run_jobs(now="30d")
        assert reload(parked).status == Status.PARKED

    def test_a_parked_job_is_not_pruned(self, parked, settings):
        settings.DJANGO_FUTURE = {"RETENTION": dict.fromkeys(Status.final(), "0s")}
        prune(store_for("default"))
        assert reload(parked).status == Status.PARKED


def test_a_value_that_was_not_decoded_is_signed_as_stored():
    job = schedule_job("0s", jobs.echo)
    job.args = Stored('[ "spaces" ]')
    job.save()
    run_jobs()
    assert json.loads(reload(job).__dict__["return_value"]) == "spaces"
