"""Workers whose database stalls or restarts."""

import os
import subprocess
import sys
from contextlib import contextmanager
from datetime import timedelta
from threading import Event, Thread

import pytest
from django.db import connection

from django_future import ScheduledJob, clock, schedule_job
from django_future.models import Worker
from django_future.store import store_for
from django_future.store.workers import register
from django_future.worker.heartbeat import new_worker
from tests.shop import jobs
from tests.support import mariadb_server, reused_session_ids
from tests.support.waiting import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

HEARTBEAT = timedelta(seconds=2)

STALL = {
    "postgresql": "LOCK TABLE django_future_worker IN ACCESS EXCLUSIVE MODE",
    "mysql": "LOCK TABLES django_future_worker WRITE",
    "sqlite": "BEGIN IMMEDIATE",
}


@contextmanager
def stalled():
    """Block all heartbeats inside the block."""
    other = connection.copy()
    other.ensure_connection()
    if other.vendor == "postgresql":
        other.set_autocommit(False)
    with other.cursor() as cursor:
        cursor.execute(STALL[other.vendor])
    try:
        yield
    finally:
        other.connection.rollback()
        other.close()


@contextmanager
def beating(worker):
    """Register a worker repeatedly inside the block."""
    stopped = Event()

    def beat():
        while not stopped.wait(0.1):
            register(store_for("default"), worker)
        connection.close()

    thread = Thread(target=beat)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def seen_at(name):
    return Worker.objects.values_list("seen_at", flat=True).get(name=name)


def test_the_first_worker_after_a_stall_rescues_no_jobs(start_worker):
    store, worker = store_for("default"), new_worker()
    register(store, worker)
    job = schedule_job("0s", jobs.echo)
    [claimed] = store.claim(worker, at=clock.now() + HEARTBEAT, limit=1)
    with beating(worker):
        start_worker(HEARTBEAT=f"{HEARTBEAT.total_seconds()}s")
        other = Worker.objects.exclude(name=worker.name)
        eventually(other.exists)
        first, name = other.get().seen_at, other.get().name
        eventually(lambda: seen_at(name) >= first + 1.5 * HEARTBEAT)
    with stalled():
        stalled_at = store.now()
        eventually(lambda: store.now() > stalled_at + 1.5 * HEARTBEAT)
    eventually(lambda: seen_at(name) > stalled_at)
    with beating(worker):
        resumed_at = seen_at(name)
        eventually(lambda: seen_at(name) >= resumed_at + HEARTBEAT)
    job.refresh_from_db()
    assert (job.status, job.worker, job.lease) == ("running", worker.name, claimed.lease)
    ScheduledJob.objects.all().delete()


@pytest.mark.only_on("mysql", reason="PostgreSQL uses process ids")
@pytest.mark.skipif(not mariadb_server.is_installed(), reason="no MariaDB server to start")
def test_sessions_with_ids_from_before_a_server_restart_are_not_killed():
    with mariadb_server.temporary_mariadb() as server:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.reused_session_ids"],
            env=os.environ | {"DATABASE_URL": server.url},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout.readline() == "noted\n"
        server.kill()
        server.start()
        output, _ = process.communicate("\n", timeout=60)
    reused, still_open = (int(line.split()[0]) for line in output.splitlines())
    assert reused > 0
    assert still_open == 2 * reused_session_ids.CONNECTIONS
