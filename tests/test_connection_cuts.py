"""Database connections cut at each command in turn: no job is lost, no effect is doubled."""

import os
from contextlib import suppress
from itertools import count

import pytest
from django.db import DatabaseError, InterfaceError, connection

from django_future import ScheduledJob, run_jobs
from django_future.models import Worker
from django_future.worker.loop import Limits
from django_future.worker.process import WorkerOptions, run_worker
from tests.chaos import jobs, ledger
from tests.chaos.address import server_of
from tests.chaos.proxy import CutMoment, proxy_to
from tests.shop.models import Trace
from tests.support.waiting import eventually

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.only_on("postgresql", "mysql", reason="SQLite has no network connection"),
]

HANDLERS = [jobs.leave, jobs.make_no_query, jobs.leave_in_the_end]


@pytest.fixture
def proxy(transactional_db):
    """Return a proxy between this process and its database."""
    with (
        proxy_to(server_of(os.environ["DATABASE_URL"])) as proxy,
        pytest.MonkeyPatch.context() as patch,
    ):
        connection.close()
        patch.setenv("PGSSLMODE", "disable")
        patch.setitem(connection.settings_dict, "HOST", "127.0.0.1")
        patch.setitem(connection.settings_dict, "PORT", proxy.port)
        yield proxy
        connection.close()


def run_once():
    """Execute due jobs in a one-off run."""
    run_jobs(ignore_errors=True)


def work():
    """Execute due jobs in a worker."""
    run_worker(WorkerOptions(alias="default", threads=1, limits=Limits(burst=True)))


@pytest.mark.parametrize("run", [run_once, work])
@pytest.mark.parametrize("moment", list(CutMoment), ids=lambda moment: moment.value)
def test_a_connection_cut_at_any_command_loses_and_doubles_nothing(run, moment, proxy, settings):
    settings.DJANGO_FUTURE = {"HEARTBEAT": "0.2s"}
    for number in count(1):
        for model in (ScheduledJob, Worker, Trace):
            model.objects.all().delete()
        ledger.schedule_each(HANDLERS)
        connection.close()
        proxy.cut_command(moment, number)
        with suppress(DatabaseError, InterfaceError):
            run()
        is_swept = proxy.spare()
        connection.close()
        eventually(are_all_done)
        text = f"command {number} was cut {moment.value} it was delivered"
        assert ledger.judge(len(HANDLERS)).faults == [], text
        if is_swept:
            break


def are_all_done():
    """Execute released jobs, and return whether all jobs have ended."""
    run_jobs(ignore_errors=True)
    return not ledger.unfinished() and not Worker.objects.exists()
