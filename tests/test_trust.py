"""Rows with a valid signature: which callables and pickles are still refused."""

import base64
import json
import pickle
import sys
import types
from pathlib import Path
from unittest import mock

import pytest
from django.contrib.auth.models import User
from django.core.signing import Signer
from django.db import connection

from django_future import ScheduledJob, handlers, job, run_jobs, schedule_job
from django_future.exceptions import CallableNotAllowed, InvalidArguments, InvalidCallable
from django_future.models import PausedQueue
from django_future.serialization import Stored
from django_future.status import Status
from tests.shop import jobs
from tests.shop.models import Order
from tests.support.rows import rewrite

pytestmark = pytest.mark.django_db


class Opens:
    """Creates a file on unpickling."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.fixture
def forbidden(tmp_path):
    """Return the path of a file that no test may create."""
    path = tmp_path / "executed"
    yield path
    assert not path.exists()


def run():
    run_jobs(ignore_errors=True)
    return ScheduledJob.objects.get()


@pytest.mark.parametrize("name", ["os.system", "posix.system", "subprocess.getoutput"])
def test_a_row_that_names_a_shell_fails(name, forbidden):
    schedule_job("0s", jobs.echo)
    rewrite(callable_name=name, args=[f"touch {forbidden}"])
    job = run()
    assert job.status == Status.FAILED
    assert f"CallableNotAllowed: '{name}'" in job.error


def test_a_row_that_names_an_import_of_a_project_module_fails(forbidden):
    schedule_job("0s", jobs.echo)
    rewrite(callable_name="tests.shop.jobs.system", args=[f"touch {forbidden}"])
    assert "CallableNotAllowed" in run().error


@pytest.mark.parametrize("column", ["args", "kwargs"])
def test_a_row_with_an_unsigned_pickle_fails(column, forbidden):
    schedule_job("0s", jobs.echo)
    value = base64.b64encode(pickle.dumps(Opens(forbidden))).decode()
    text = json.dumps({"__type__": "pickle", "class": "x", "value": f"{value}:forged"})
    rewrite(**{column: Stored(text)})
    job = run()
    assert job.status == Status.FAILED
    assert "TamperedArguments" in job.error


def test_a_row_with_a_changed_pickle_fails():
    schedule_job("0s", jobs.echo, args=[Path("a")])
    stored = ScheduledJob.objects.values_list("args", flat=True).get()
    rewrite(args=Stored(stored.replace('"value": "g', '"value": "h')))
    assert "TamperedArguments" in run().error


def test_a_row_with_a_pickle_of_another_key_fails(settings):
    schedule_job("0s", jobs.echo, args=[Path("a")])
    stored = ScheduledJob.objects.values_list("args", flat=True).get()
    settings.SECRET_KEY = "another key"
    ScheduledJob.objects.all().delete()
    schedule_job("0s", jobs.echo)
    rewrite(args=stored)
    assert "TamperedArguments" in run().error


FOREIGN = {
    "django.contrib.auth.password_validation.get_password_validators": [
        [{"NAME": "os.system", "OPTIONS": {"command": "touch FORBIDDEN"}}]
    ],
    "django.contrib.auth.load_backend": ["os.system"],
    "django_future.serialization._signer": [],
    "django_future.scheduling.queues.pause_queue": ["default"],
    "django_future.checks._check_callable": ["antigravity.geohash"],
    "unittest.mock.call": ["touch FORBIDDEN"],
    "tests.shop.jobs._hidden": [],
}


class TestForeignCallables:
    @pytest.fixture(autouse=True)
    def nothing_happens(self, forbidden, monkeypatch):
        """Assert that no foreign callable was called."""

        def hidden():
            forbidden.touch()

        hidden.__module__ = jobs.__name__
        monkeypatch.setattr(jobs, "_hidden", hidden, raising=False)
        yield
        assert "antigravity" not in sys.modules
        assert not PausedQueue.objects.exists()
        assert Order.objects.count() == 1

    @pytest.fixture
    def row(self, order):
        """Return a job with a content object."""
        return schedule_job("0s", "ring", order)

    @pytest.mark.parametrize("name", FOREIGN)
    def test_a_foreign_callable_that_sql_wrote_is_parked(self, row, name, forbidden, settings):
        args = json.dumps(FOREIGN[name]).replace("FORBIDDEN", str(forbidden))
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE django_future_scheduledjob SET callable_name = %s, args = %s,"
                " content_type_id = NULL, object_id = NULL",
                [name, args],
            )
        assert run().status == Status.PARKED
        assert settings.SECRET_KEY not in str(ScheduledJob.objects.values())

    @pytest.mark.parametrize("name", FOREIGN)
    def test_a_foreign_callable_in_a_signed_row_fails(self, row, name, forbidden, settings):
        args = json.dumps(FOREIGN[name]).replace("FORBIDDEN", str(forbidden))
        rewrite(callable_name=name, args=Stored(args), content_object=None)
        job = run()
        assert job.status == Status.FAILED
        assert "CallableNotAllowed" in job.error
        assert settings.SECRET_KEY not in str(ScheduledJob.objects.values())

    @pytest.mark.parametrize("name", ["delete", "save", "full_clean", "refresh_from_db"])
    def test_inherited_methods_of_an_object_are_not_called(self, row, name):
        with connection.cursor() as cursor:
            cursor.execute("UPDATE django_future_scheduledjob SET callable_name = %s", [name])
        assert run().status == Status.PARKED
        ScheduledJob.objects.update(status=Status.SCHEDULED)
        call = run_again_signed(name)
        assert call.status == Status.FAILED
        assert f"CallableNotAllowed: 'tests.shop.models.Order.{name}' is defined in" in call.error


def run_again_signed(name):
    job = ScheduledJob.objects.get()
    ScheduledJob.objects.all().delete()
    job = schedule_job("0s", "ring", job.content_object)
    rewrite(callable_name=name)
    return run()


class TestMethods:
    def test_a_method_whose_path_is_listed_can_be_called(self, order, settings):
        settings.DJANGO_FUTURE = {"CALLABLES": ["tests.shop.models.Order.delete"]}
        schedule_job("0s", "delete", order)
        run()
        assert not Order.objects.exists()

    def test_a_method_whose_module_is_listed_can_be_called(self, order, settings):
        settings.DJANGO_FUTURE = {"CALLABLES": ["django.db.models.base"]}
        assert schedule_job("0s", "full_clean", order)

    def test_methods_of_djangos_models_are_refused_when_scheduled(self):
        user = User.objects.create_user("ada")
        with pytest.raises(CallableNotAllowed, match=r"List it in DJANGO_FUTURE\['CALLABLES'\]"):
            schedule_job("0s", "email_user", user, args=["subject", "text"])

    def test_listed_methods_pass_the_settings_check(self, settings):
        from django_future.checks import check_settings

        settings.DJANGO_FUTURE = {"CALLABLES": ["tests.shop.models.Order.delete"]}
        assert check_settings() == []
        settings.DJANGO_FUTURE = {"CALLABLES": ["tests.shop.models.Order.vanish"]}
        assert [message.id for message in check_settings()] == ["django_future.E002"]


class TestPrivateNames:
    @pytest.fixture
    def private(self, monkeypatch):
        """Return a module with a private name in a package of the project."""
        module = types.ModuleType("tests.shop._private")
        exec("def run(): return 'ran'", vars(module))
        monkeypatch.setitem(sys.modules, module.__name__, module)
        return module

    def test_functions_of_a_private_module_are_refused(self, private):
        with pytest.raises(CallableNotAllowed, match="begins with an underscore"):
            schedule_job("0s", private.run)

    def test_decorated_functions_of_a_private_module_are_allowed(self, private):
        private.run = job(private.run)
        assert handlers.resolve("tests.shop._private.run", None) is private.run

    def test_listed_functions_of_a_private_module_are_allowed(self, private, settings):
        settings.DJANGO_FUTURE = {"CALLABLES": ["tests.shop._private.run"]}
        assert handlers.resolve("tests.shop._private.run", None) is private.run


@pytest.mark.parametrize("thing", [mock.call, mock.MagicMock(), mock.Mock()])
def test_an_object_that_has_any_attribute_is_no_handler(thing, monkeypatch):
    module = types.ModuleType("somewhere_else")
    module.thing = thing
    monkeypatch.setitem(sys.modules, module.__name__, module)
    with pytest.raises(InvalidCallable):
        handlers.resolve("somewhere_else.thing", None)


class TestMovedPickles:
    @pytest.fixture
    def pickled(self):
        """Return the stored text of a pickle that was signed for `echo`."""
        schedule_job("1d", jobs.echo, args=[Path("a")], kwargs={})
        text = ScheduledJob.objects.values_list("args", flat=True).get()
        ScheduledJob.objects.all().delete()
        return text

    def test_a_pickle_moved_to_another_callable_is_refused(self, pickled):
        schedule_job("0s", jobs.trace)
        rewrite(args=pickled)
        assert "TamperedArguments" in run().error

    def test_a_pickle_moved_to_another_column_is_refused(self, pickled):
        schedule_job("0s", jobs.echo)
        rewrite(kwargs=Stored(f'{{"value": {pickled[1:-1]}}}'))
        assert "TamperedArguments" in run().error

    def test_a_pickle_moved_to_options_or_results_is_refused(self, pickled):
        from django_future.exceptions import TamperedArguments

        schedule_job("0s", jobs.echo)
        rewrite(options=Stored(f'{{"backoff": {pickled[1:-1]}}}'))
        assert "TamperedArguments" in run().error
        ScheduledJob.objects.update(return_value=pickled)
        with pytest.raises(TamperedArguments):
            ScheduledJob.objects.get().return_value  # noqa: B018

    def test_reschedule_with_another_callable_signs_pickles_again(self, trace_texts):
        schedule_job("1d", jobs.echo, args=[Path("copied")]).reschedule("0s", jobs.trace)
        run_jobs()
        assert trace_texts() == ["copied"]

    def test_a_pickled_return_value_is_recorded(self):
        schedule_job("0s", jobs.echo, args=[Path("a")])
        assert run().return_value == Path("a")


class TestSecrets:
    def test_the_secret_key_is_refused_in_arguments(self):
        with pytest.raises(InvalidArguments, match="SECRET_KEY"):
            schedule_job("0s", jobs.echo, args=[Signer()])

    @pytest.mark.parametrize("make", [Signer, lambda: {"key": Signer().key}, lambda: [{Signer()}]])
    def test_the_secret_key_is_not_recorded_in_results(self, make, monkeypatch, settings):
        def reveal():
            return make()

        monkeypatch.setattr(jobs, "reveal", reveal, raising=False)
        reveal.__module__ = jobs.__name__
        schedule_job("0s", "tests.shop.jobs.reveal")
        assert run().status == Status.COMPLETE
        with connection.cursor() as cursor:
            cursor.execute("SELECT return_value FROM django_future_scheduledjob")
            (stored,) = cursor.fetchone()
        assert settings.SECRET_KEY not in stored
        assert "pickle" not in stored
