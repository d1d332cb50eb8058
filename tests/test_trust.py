"""A row is data: whoever can write one can not thereby run code."""

import base64
import json
import pickle
from pathlib import Path

import pytest
from django.db import connection

from django_future import ScheduledJob, run_jobs, schedule_job
from django_future.status import Status
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


def tamper(**columns):
    """Overwrite columns of the one job, as somebody with access to the database would."""
    assignments = ", ".join(f"{column} = %s" for column in columns)
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE django_future_scheduledjob SET {assignments}", [*columns.values()])


def run():
    run_jobs(ignore_errors=True)
    return ScheduledJob.objects.get()


@pytest.mark.parametrize("name", ["os.system", "posix.system", "subprocess.getoutput"])
def test_a_shell_written_into_a_row_is_refused(name, forbidden):
    schedule_job("0s", jobs.echo)
    tamper(callable_name=name, args=json.dumps([f"touch {forbidden}"]))
    job = run()
    assert job.status == Status.FAILED
    assert f"CallableNotAllowed: '{name}'" in job.error


def test_a_shell_imported_by_a_module_of_the_project_is_refused(forbidden):
    schedule_job("0s", jobs.echo)
    tamper(callable_name="tests.shop.jobs.system", args=json.dumps([f"touch {forbidden}"]))
    assert "CallableNotAllowed" in run().error


@pytest.mark.parametrize("column", ["args", "kwargs"])
def test_a_pickle_written_into_a_row_is_not_loaded(column, forbidden):
    schedule_job("0s", jobs.echo)
    value = base64.b64encode(pickle.dumps(Opens(forbidden))).decode()
    tamper(**{column: json.dumps({"__type__": "pickle", "class": "x", "value": f"{value}:forged"})})
    job = run()
    assert job.status == Status.FAILED
    assert "TamperedArguments" in job.error


def test_a_pickle_that_was_changed_after_it_was_signed_is_not_loaded():
    schedule_job("0s", jobs.echo, args=[Path("a")])
    stored = ScheduledJob.objects.values_list("args", flat=True).get()
    tamper(args=stored.replace('"value": "g', '"value": "h'))
    assert "TamperedArguments" in run().error


def test_a_pickle_signed_with_another_key_is_not_loaded(settings):
    schedule_job("0s", jobs.echo, args=[Path("a")])
    settings.SECRET_KEY = "somebody else's"
    assert "TamperedArguments" in run().error
