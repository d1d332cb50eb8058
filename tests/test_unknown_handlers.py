"""Unknown handlers: their jobs are released for a worker that has the code."""

import os
import sys
import types
from datetime import timedelta

import pytest
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command

from django_future import ScheduledJob, clock, run_jobs, schedule_job, schedule_jobs, signals
from django_future.exceptions import (
    CallableNotAllowed,
    HandlerUnknown,
    InvalidCallable,
    LeaseLost,
    ModuleNotImported,
)
from django_future.handlers import resolve
from django_future.models import Worker
from django_future.status import Status
from django_future.store import Selection, handler_of, store_for
from django_future.store.transitions import postpone, release_unknown
from django_future.testing import run_due_jobs
from django_future.worker import unknown_handlers
from django_future.worker.loop import Limits
from django_future.worker.process import WorkerOptions, run_worker
from tests.shop import jobs
from tests.shop.models import Order, Parcel
from tests.support.rows import rewrite
from tests.support.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)

GONE = "tests.shop.jobs.vanished"


def burst():
    run_worker(WorkerOptions(alias="default", limits=Limits(burst=True)))


def schedule(callable_name, *given, **options):
    """Return a job that was scheduled by code that this process does not have."""
    job = schedule_job("0s", "remind" if given else jobs.trace, *given, **options)
    rewrite(job, callable_name=callable_name)
    job.refresh_from_db()
    return job


def released_error(job):
    job.refresh_from_db()
    return (job.status, job.attempts, job.worker) == (Status.SCHEDULED, 0, "") and job.error


class TestRelease:
    @pytest.mark.parametrize("run", [burst, run_jobs])
    @pytest.mark.parametrize(
        ("name", "words"),
        [
            (GONE, "'tests.shop.jobs.vanished' does not exist: module"),
            ("tests.gone.handler", "cannot be imported: ModuleNotFoundError: No module named"),
            ("removed_app.jobs.handler", "does not exist: there is no module 'removed_app'"),
        ],
    )
    def test_a_job_of_an_unknown_handler_is_released_with_the_reason(
        self, run, name, words, trace_texts
    ):
        job = schedule(name)
        schedule_job("0s", jobs.trace, args=["the next"])
        run()
        assert trace_texts() == ["the next"]
        error = released_error(job)
        assert f"does not know '{name}'" in error
        assert words in error
        assert error.endswith("It is released for a worker that does.")

    def test_a_job_of_an_unknown_method_is_released(self, order):
        job = schedule("vanished", order)
        run_jobs()
        assert "shop.Order has no public method 'vanished'" in released_error(job)

    def test_a_method_of_another_model_with_the_same_name_runs(self, order, trace_texts):
        parcel = Parcel.objects.create()
        unknown = schedule("note", order)
        rewrite(content_type=ContentType.objects.get_for_model(Parcel), object_id=str(parcel.pk))
        known = schedule_job("0s", "note", order, args=["noted"])
        burst()
        assert released_error(unknown)
        assert trace_texts() == [f"A1 {known.pk} noted"]

    def test_a_job_of_a_model_that_is_not_installed_is_released(self, order):
        job = schedule("remind", order)
        content_type = ContentType.objects.create(app_label="removed_app", model="order")
        rewrite(content_type=content_type)
        run_jobs()
        assert "The model removed_app.order of the content object is not" in released_error(job)

    def test_a_job_of_an_unknown_handler_can_expire(self):
        job = schedule(GONE)
        run_jobs()
        run_jobs(now="8d")
        job.refresh_from_db()
        assert job.status == Status.EXPIRED
        assert "does not know" in job.error

    def test_a_handler_that_becomes_known_runs_and_clears_the_error(self, monkeypatch, trace_texts):
        job = schedule(GONE, args=["known again"])
        run_jobs()
        monkeypatch.setattr(jobs, "vanished", jobs.trace, raising=False)
        run_jobs()
        job.refresh_from_db()
        assert (job.status, job.attempts, job.error) == (Status.COMPLETE, 1, "")
        assert trace_texts() == ["known again"]

    @pytest.mark.parametrize("name", ["os.system", "tests.shop.jobs.system", "tests.shop.jobs.sys"])
    def test_a_callable_that_exists_and_is_refused_fails_its_job(self, name):
        job = schedule(name)
        run_jobs(ignore_errors=True)
        job.refresh_from_db()
        assert job.status == Status.FAILED

    def test_a_handler_that_schedules_an_unknown_handler_fails(self, monkeypatch):
        def schedule_unknown(value=None):
            schedule_job("0s", GONE)

        monkeypatch.setattr(jobs, "echo", schedule_unknown)
        schedule_unknown.__module__ = jobs.__name__
        job = schedule_job("0s", "tests.shop.jobs.echo")
        run_jobs(ignore_errors=True)
        job.refresh_from_db()
        assert job.status == Status.FAILED
        assert "HandlerUnknown" in job.error


class TestBrokenModules:
    @pytest.mark.parametrize(
        "source",
        ["def f(:", "import nothing", "1 / 0", "raise SystemExit(3)", "raise OSError('\\0')"],
    )
    @pytest.mark.parametrize("run", [burst, run_jobs])
    def test_jobs_of_a_module_that_cannot_be_imported_are_released(
        self, source, run, tmp_path, monkeypatch, settings
    ):
        (tmp_path / "half_deployed.py").write_text(source)
        monkeypatch.syspath_prepend(tmp_path)
        settings.DJANGO_FUTURE = {"CALLABLES": ["half_deployed"]}
        job = schedule("half_deployed.f")
        run()
        assert "'half_deployed.f' cannot be imported: " in released_error(job)


class TestRepeatedClaims:
    def test_a_one_off_run_claims_one_job_of_each_unknown_handler(self):
        for name in (GONE, GONE, f"{GONE}_too"):
            schedule(name)
        run_jobs()
        assert list(ScheduledJob.objects.order_by("pk").values_list("lease", flat=True)) == [
            1,
            0,
            1,
        ]

    def test_handler_names_that_differ_in_case_are_different_handlers(self, trace_texts):
        schedule("tests.shop.jobs.Trace_On_Commit")
        schedule_job("0s", jobs.trace_on_commit)
        burst()
        assert trace_texts() == ["hook"]

    def test_a_claim_excludes_unknown_handlers(self):
        store = store_for("default")
        names = [f"tests.shop.jobs.it's_{number}" for number in range(1200)]
        [job, *_] = [schedule(names[0]), schedule(names[1])]
        selection = Selection(
            unknown_handlers=frozenset(f"{name} 0" for name in names) | {handler_of(job)}
        )
        assert store.claim(Worker(name="one"), selection, at=clock.now(), limit=5) == []
        assert store.next_due(selection) is None

    @pytest.mark.parametrize("run", [burst, run_jobs])
    def test_the_number_of_remembered_unknown_handlers_is_limited(
        self, run, monkeypatch, trace_texts
    ):
        monkeypatch.setattr(unknown_handlers, "MAX_UNKNOWN_HANDLERS", 2)
        left = [schedule(f"{GONE}_{number}") for number in range(5)]
        schedule_job("0s", jobs.trace, args=["the next"])
        before = clock.now()
        run()
        assert trace_texts() == ["the next"]
        assert all("does not know" in released_error(job) for job in left)
        moved = [job for job in left if clock.from_row(job.scheduled_at) > before]
        assert len(moved) == 3
        assert all(clock.from_row(job.first_due_at) < before for job in moved)

    def test_a_postponed_job_waits_as_long_as_it_has_been_due(self):
        store, at = store_for("default"), clock.now()
        schedule(GONE)
        ScheduledJob.objects.update(scheduled_at=clock.to_row(at - timedelta(minutes=2)))
        [claimed] = store.claim(Worker(name="one"), at=at, limit=1)
        release_unknown(store, claimed, "unknown")
        postpone(store, claimed, at)
        claimed.refresh_from_db()
        delay = clock.from_row(claimed.scheduled_at) - at
        assert timedelta(minutes=2) <= delay < timedelta(minutes=3)

    def test_a_job_claimed_by_another_worker_is_not_postponed(self):
        store, job = store_for("default"), schedule(GONE)
        at = clock.now()
        [claimed] = store.claim(Worker(name="one"), at=at, limit=1)
        release_unknown(store, claimed, "unknown")
        store.claim(Worker(name="two"), at=at, limit=1)
        postpone(store, claimed, at)
        job.refresh_from_db()
        assert job.first_due_at is None

    def test_an_unknown_handler_is_logged_once(self, caplog):
        schedule_jobs([{"when": "0s", "callable": jobs.trace}] * 20)
        rewrite(callable_name=GONE)
        burst()
        assert caplog.text.count(f"does not know '{GONE}'") == 1

    def test_a_job_whose_lease_is_lost_is_not_released(self):
        job = schedule(GONE)
        [claimed] = store_for("default").claim(Worker(name="one"), at=clock.now(), limit=1)
        ScheduledJob.objects.update(lease=claimed.lease + 1)
        with pytest.raises(LeaseLost):
            release_unknown(store_for("default"), claimed, "unknown")
        job.refresh_from_db()
        assert job.status == Status.RUNNING


class TestReporting:
    def test_job_handler_unknown_is_sent(self):
        job, seen = schedule(GONE), []

        def receive(job, exception, **_):
            seen.append((job, type(exception)))

        signals.job_handler_unknown.connect(receive)
        try:
            run_jobs()
        finally:
            signals.job_handler_unknown.disconnect(receive)
        assert seen == [(job, HandlerUnknown)]

    def test_runscheduledjobs_reports_an_unknown_handler_and_succeeds(self, capsys):
        job = schedule(GONE)
        call_command("runscheduledjobs", "--no-color")
        out, err = capsys.readouterr()
        assert out.splitlines() == [f"{job.pk} {GONE} released", "Ran 1: 1 released."]
        assert f"does not know '{GONE}'" in err

    def test_run_due_jobs_raises_for_an_unknown_handler(self):
        schedule(GONE)
        with pytest.raises(HandlerUnknown, match="does not exist"):
            run_due_jobs()

    def test_run_due_jobs_can_ignore_an_unknown_handler(self):
        schedule(GONE)
        assert run_due_jobs(raise_errors=False, recurse=True) == []


class TestScheduling:
    @pytest.mark.parametrize("name", [GONE, "tests.gone.handler", "antigravity.geohash"])
    def test_schedule_job_refuses_an_unknown_handler(self, name):
        with pytest.raises(InvalidCallable):
            schedule_job("0s", name)
        assert not ScheduledJob.objects.exists()

    def test_schedule_job_names_the_import_error_of_a_module(self, monkeypatch, settings, tmp_path):
        (tmp_path / "broken_here.py").write_text("1 / 0")
        monkeypatch.syspath_prepend(tmp_path)
        settings.DJANGO_FUTURE = {"CALLABLES": ["broken_here"]}
        with pytest.raises(HandlerUnknown, match="ZeroDivisionError: division by zero"):
            schedule_job("0s", "broken_here.f")

    def test_a_module_that_was_never_imported_is_not_allowed(self):
        with pytest.raises(ModuleNotImported) as caught:
            resolve("antigravity.geohash", None)
        assert isinstance(caught.value, CallableNotAllowed)

    def test_a_callable_of_an_imported_module_is_not_allowed_rather_than_unknown(self, monkeypatch):
        module = types.ModuleType("somewhere_else")
        module.f = len
        monkeypatch.setitem(sys.modules, "somewhere_else", module)
        with pytest.raises(CallableNotAllowed) as caught:
            resolve("somewhere_else.f", None)
        assert not isinstance(caught.value, HandlerUnknown)

    def test_a_private_method_is_refused_rather_than_unknown(self):
        with pytest.raises(InvalidCallable) as caught:
            resolve("_secret", Order())
        assert not isinstance(caught.value, HandlerUnknown)


@pytest.mark.slow
def test_the_worker_that_has_the_code_runs_the_job(start_worker, tmp_path):
    (tmp_path / "of_tomorrow.py").write_text(
        "from django_future import job\n\n@job\ndef greet(name):\n    return f'hello {name}'\n"
    )
    for _ in range(10):
        schedule("of_tomorrow.greet", args=["Ada"])
    old = start_worker()
    eventually(lambda: ScheduledJob.objects.exclude(error="").exists())
    path = f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"
    start_worker(PYTHONPATH=path, TEST_IMPORT="of_tomorrow")
    eventually(lambda: ScheduledJob.objects.filter(status=Status.COMPLETE).count() == 10)
    assert old.poll() is None
    assert set(ScheduledJob.objects.values_list("error", flat=True)) == {""}
