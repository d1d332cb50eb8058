"""Signing by operators: `future_sign`, `future_rename` and the admin."""

from io import StringIO
from pathlib import Path

import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import CommandError, call_command
from django.db import connection

from django_future import ScheduledJob, clock, run_jobs, schedule_job
from django_future.status import Status
from tests.shop import jobs
from tests.support.admin_pages import LIST, act, body, page_of
from tests.test_admin_job import log_in

pytestmark = pytest.mark.django_db(transaction=True)


def forge(job, **columns):
    """Change a job with SQL."""
    assignments = ", ".join(f"{column} = %s" for column in columns)
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE django_future_scheduledjob SET {assignments} WHERE id = %s",
            [*columns.values(), job.pk],
        )


def unsigned(*args, park=True, **options):
    """Return a job without a signature, parked if `park`."""
    job = schedule_job("0s", jobs.trace, args=args, **options)
    forge(job, signature="")
    if park:
        run_jobs()
    return job


def parked_by_a_key_change(settings, *args):
    """Return a job that was parked because SECRET_KEY changed, and the old key."""
    job, old_key = schedule_job("0s", jobs.trace, args=args), settings.SECRET_KEY
    settings.SECRET_KEY = "the new one"
    run_jobs()
    assert status_of(job) == Status.PARKED
    return job, old_key


def status_of(job):
    job.refresh_from_db()
    return job.status


def run(command, *arguments, **options):
    """Return the output of a command to stdout and stderr."""
    out, err = StringIO(), StringIO()
    call_command(command, *arguments, stdout=out, stderr=err, **options)
    return out.getvalue(), err.getvalue()


class TestSign:
    def test_future_sign_schedules_a_parked_job_and_shows_its_call(self, trace_texts):
        job, other = unsigned("one"), unsigned("another")
        due = clock.from_row(job.scheduled_at).astimezone(clock.current_zone())
        out, _ = run("future_sign", job.pk)
        assert out == (
            f"{job.pk} tests.shop.jobs.trace(['one']), due {due:%Y-%m-%d %H:%M:%S}\nSigned 1 job.\n"
        )
        assert (status_of(job), job.error, job.is_signed) == (Status.SCHEDULED, "", True)
        assert status_of(other) == Status.PARKED

    def test_a_job_signed_by_future_sign_runs(self, trace_texts):
        unsigned("vouched for")
        run("future_sign", "--all")
        run_jobs()
        assert trace_texts() == ["vouched for"]

    def test_future_sign_signs_a_scheduled_job(self, trace_texts):
        unsigned("waits", park=False)
        run("future_sign", "--handler", "tests.shop.jobs.trace")
        run_jobs()
        assert trace_texts() == ["waits"]

    def test_future_sign_skips_signed_and_finished_jobs(self, trace_texts):
        signed, ended = schedule_job("1d", jobs.trace), unsigned("ended")
        ended.cancel()
        assert run("future_sign", "--all")[0] == "Signed 0 jobs.\n"
        assert status_of(signed) == Status.SCHEDULED
        assert status_of(ended) == Status.CANCELLED

    def test_future_sign_schedules_jobs_whose_old_key_is_now_a_fallback(
        self, settings, trace_texts
    ):
        job, old_key = parked_by_a_key_change(settings, "old key")
        settings.SECRET_KEY_FALLBACKS = [old_key]
        run("future_sign", "--all")
        assert status_of(job) == Status.SCHEDULED
        run_jobs()
        assert trace_texts() == ["old key"]

    def test_future_status_says_that_the_signature_of_a_parked_job_is_valid_again(self, settings):
        job, old_key = parked_by_a_key_change(settings, "old key")
        assert "signature is not valid" in run("future_status", job.pk)[0]
        settings.SECRET_KEY_FALLBACKS = [old_key]
        assert "It is valid now." in run("future_status", job.pk)[0]

    def test_future_sign_changes_nothing_in_a_dry_run(self):
        job = unsigned("one")
        assert run("future_sign", "--all", "--dry-run")[0].endswith("Would sign 1 job.\n")
        assert status_of(job) == Status.PARKED

    @pytest.mark.parametrize("arguments", [[], ["1", "--all"], ["--all", "--handler", "x"]])
    def test_future_sign_requires_one_selection_of_jobs(self, arguments):
        with pytest.raises(CommandError, match="Give either ids of jobs, or --handler, or --all"):
            run("future_sign", *arguments)

    def test_future_sign_signs_all_jobs_after_a_key_change(self, settings, trace_texts, order):
        schedule_job("0s", jobs.trace, args=["old key"])
        schedule_job("0s", "note", order, args=["for an object"])
        settings.SECRET_KEY = "the new one"
        run_jobs()
        out, _ = run("future_sign", "--all")
        assert f" for shop.order {order.pk}, due" in out
        run_jobs()
        assert trace_texts()[0] == "old key"
        assert len(trace_texts()) == 2

    def test_future_sign_refuses_a_pickle_that_is_not_signed(self, settings):
        job = schedule_job("0s", jobs.echo, args=[Path("a")])
        settings.SECRET_KEY = "the new one"
        run_jobs()
        out, err = run("future_sign", "--all")
        assert out.endswith("Signed 0 jobs. Skipped 1 job.\n")
        assert "A pickled value was not loaded: it has no valid" in err
        assert status_of(job) == Status.PARKED

    def test_future_sign_signs_only_what_it_has_shown(self, trace_texts, monkeypatch):
        from django_future.scheduling import signing

        job = unsigned("shown")
        vouch = signing.sign_job

        def change_first(loaded):
            forge(job, callable_name="tests.shop.jobs.echo")
            return vouch(loaded)

        monkeypatch.setattr("django_future.management.commands.future_sign.sign_job", change_first)
        run("future_sign", "--all")
        run_jobs()
        job.refresh_from_db()
        assert (job.callable_name, trace_texts()) == ("tests.shop.jobs.trace", ["shown"])

    def test_future_sign_imports_no_handler_to_show_it(self, monkeypatch, tmp_path):
        import tests.shop

        (tmp_path / "script.py").write_text("raise AssertionError('imported')")
        monkeypatch.setattr(tests.shop, "__path__", [*tests.shop.__path__, str(tmp_path)])
        job = schedule_job("0s", jobs.trace)
        forge(job, callable_name="tests.shop.script.run")
        assert "tests.shop.script.run()" in run("future_sign", "--all", "--dry-run")[0]

    def test_future_sign_hides_sensitive_arguments_and_control_characters(self):
        job = schedule_job("1h", log_in, args=["Ada", "secret"])
        other = schedule_job("1h", jobs.echo)
        forge(job, signature="")
        forge(other, callable_name="x\x1b[2J\ny")
        out, _ = run("future_sign", "--all", "--dry-run")
        assert "tests.test_admin_job.log_in([hidden])" in out
        assert r"x\x1b[2J\ny()" in out


class TestRename:
    OLD, NEW = "tests.shop.jobs.removed", "tests.shop.jobs.trace"

    @pytest.fixture(autouse=True)
    def old_name(self, monkeypatch):
        """Create a handler with the old name."""

        def removed(text="ran"):
            raise AssertionError("called by its old name")

        removed.__module__ = jobs.__name__
        monkeypatch.setattr(jobs, "removed", removed, raising=False)

    def test_future_rename_makes_waiting_jobs_call_the_new_name(self, trace_texts):
        schedule_job("0s", self.OLD, args=["renamed"])
        assert run("future_rename", self.OLD, self.NEW)[0].endswith(
            "Renamed the handler of 1 job.\n"
        )
        run_jobs()
        assert trace_texts() == ["renamed"]

    def test_future_rename_signs_pickles_for_the_new_name(self, trace_texts):
        schedule_job("0s", self.OLD, args=[Path("a")])
        run("future_rename", self.OLD, self.NEW)
        run_jobs()
        assert trace_texts() == ["a"]

    def test_future_rename_does_not_sign_forged_rows(self):
        job = schedule_job("0s", self.OLD)
        forge(job, args='["forged"]')
        _, err = run("future_rename", self.OLD, self.NEW)
        assert f"Job {job.pk} was skipped: its signature is not valid." in err
        job.refresh_from_db()
        assert job.callable_name == self.OLD

    def test_future_rename_changes_nothing_in_a_dry_run(self):
        job = schedule_job("0s", self.OLD)
        out, _ = run("future_rename", self.OLD, self.NEW, "--dry-run")
        assert out.endswith("Would rename the handler of 1 job.\n")
        job.refresh_from_db()
        assert job.callable_name == self.OLD

    @pytest.mark.parametrize(
        ("new", "words"),
        [
            ("tests.shop.jobs.missing", "does not exist"),
            ("os.system", "so jobs may not call it"),
            ("remind", "is a method of an object, the other is not"),
        ],
    )
    def test_future_rename_refuses_a_name_that_no_job_can_call(self, new, words):
        with pytest.raises(CommandError, match=words):
            run("future_rename", self.OLD, new)

    def test_future_rename_skips_a_job_whose_unique_key_is_taken(self):
        held = schedule_job("1h", self.OLD, unique="key")
        schedule_job("1h", self.NEW, unique="key")
        _, err = run("future_rename", self.OLD, self.NEW)
        assert f"Job {held.pk} was skipped: another job with the new name has the same" in err

    def test_future_rename_renames_a_method(self, order):
        job = schedule_job("1h", "remind", order)
        assert "has no method 'missing'" in run("future_rename", "remind", "missing")[1]
        run("future_rename", "remind", "ring")
        run_jobs(now="2h")
        job.refresh_from_db()
        assert job.return_value == "A1: ring"


class TestAdmin:
    def test_the_admin_counts_parked_jobs(self, admin_client):
        assert "parked: " not in body(admin_client.get(LIST))
        job = unsigned("one")
        assert "1 job is parked: its signature is not valid" in body(admin_client.get(LIST))
        assert "The row has no signature" in body(admin_client.get(page_of(job)))
        assert page_of(job) in body(admin_client.get(f"{LIST}?status__exact=parked"))

    def test_the_sign_action_signs_parked_jobs(self, admin_client, trace_texts):
        job, waiting = unsigned("signed"), schedule_job("1d", jobs.echo)
        assert act(admin_client, "sign_selected", job, waiting) == [
            "1 job was signed.",
            "1 job was not signed: it is not parked, or holds a pickle that is not signed.",
        ]
        run_jobs()
        assert trace_texts() == ["signed"]
        assert LogEntry.objects.get().change_message == "Signed."

    def test_the_sign_action_signs_parked_jobs_whose_signature_is_valid_again(
        self, admin_client, settings, trace_texts
    ):
        job, old_key = parked_by_a_key_change(settings, "old key")
        settings.SECRET_KEY = old_key
        assert act(admin_client, "sign_selected", job) == ["1 job was signed."]
        run_jobs()
        assert trace_texts() == ["old key"]

    def test_the_sign_action_is_for_superusers_only(self, login):
        job = unsigned("one")
        client = login(
            "view_scheduledjob",
            "operate_scheduledjob",
            "change_scheduledjob",
            "delete_scheduledjob",
            "add_scheduledjob",
        )
        assert "sign_selected" not in body(client.get(LIST))
        act(client, "sign_selected", job)
        assert status_of(job) == Status.PARKED

    def test_the_run_again_action_refuses_forged_rows(self, login):
        job = unsigned("one")
        job.cancel()
        [message] = act(login("view_scheduledjob", "operate_scheduledjob"), "run_again", job)
        assert message.startswith("1 job cannot be scheduled again: The row has no signature")
        assert ScheduledJob.objects.count() == 1

    def test_the_admin_imports_no_handler_to_show_it(self, admin_client, monkeypatch, tmp_path):
        import tests.shop

        (tmp_path / "script.py").write_text("raise AssertionError('imported')")
        monkeypatch.setattr(tests.shop, "__path__", [*tests.shop.__path__, str(tmp_path)])
        job = schedule_job("0s", jobs.trace, args=["x"])
        forge(job, callable_name="tests.shop.script.run")
        assert "[hidden]" in body(admin_client.get(LIST))
        assert "[hidden]" in body(admin_client.get(page_of(job)))
