"""Behind the signature of a row: what a job may call, and which pickles it may load."""

import base64
import json
import pickle
from pathlib import Path

import pytest

from django_future import ScheduledJob, run_jobs, schedule_job
from django_future.arguments import Stored
from django_future.status import Status
from tests.rewriting import rewrite
from tests.shop import jobs

pytestmark = pytest.mark.django_db


class Opens:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.fixture
def forbidden(tmp_path):
    """Return the path of a file that must not come to exist."""
    path = tmp_path / "executed"
    yield path
    assert not path.exists()


def run():
    run_jobs(ignore_errors=True)
    return ScheduledJob.objects.get()


@pytest.mark.parametrize("name", ["os.system", "posix.system", "subprocess.getoutput"])
def test_a_shell_is_refused(name, forbidden):
    schedule_job("0s", jobs.echo)
    rewrite(callable_name=name, args=[f"touch {forbidden}"])
    job = run()
    assert job.status == Status.FAILED
    assert f"CallableNotAllowed: '{name}'" in job.error


def test_a_shell_imported_by_a_module_of_the_project_is_refused(forbidden):
    schedule_job("0s", jobs.echo)
    rewrite(callable_name="tests.shop.jobs.system", args=[f"touch {forbidden}"])
    assert "CallableNotAllowed" in run().error


@pytest.mark.parametrize("column", ["args", "kwargs"])
def test_a_pickle_without_a_signature_is_not_loaded(column, forbidden):
    schedule_job("0s", jobs.echo)
    value = base64.b64encode(pickle.dumps(Opens(forbidden))).decode()
    text = json.dumps({"__type__": "pickle", "class": "x", "value": f"{value}:forged"})
    rewrite(**{column: Stored(text)})
    job = run()
    assert job.status == Status.FAILED
    assert "TamperedArguments" in job.error


def test_a_pickle_that_was_changed_after_it_was_signed_is_not_loaded():
    schedule_job("0s", jobs.echo, args=[Path("a")])
    stored = ScheduledJob.objects.values_list("args", flat=True).get()
    rewrite(args=Stored(stored.replace('"value": "g', '"value": "h')))
    assert "TamperedArguments" in run().error


def test_a_pickle_signed_with_another_key_is_not_loaded(settings):
    schedule_job("0s", jobs.echo, args=[Path("a")])
    stored = ScheduledJob.objects.values_list("args", flat=True).get()
    settings.SECRET_KEY = "somebody else's"
    ScheduledJob.objects.all().delete()
    schedule_job("0s", jobs.echo)
    rewrite(args=stored)
    assert "TamperedArguments" in run().error
