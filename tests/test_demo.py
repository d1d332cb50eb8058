"""The demo project."""

import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from django.db import connection

from tests.support.waiting import MAX_WAIT_SECONDS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(connection.vendor != "sqlite", reason="The demo always uses SQLite."),
]

MANAGE = Path(__file__).parent.parent / "demo" / "manage.py"
COMMAND = [sys.executable, "-W", "error", str(MANAGE), "demo"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def environment(folder):
    database = {"DEMO_DATABASE": str(folder / "demo.sqlite3")}
    return os.environ | {"DJANGO_SETTINGS_MODULE": "florist.settings"} | database


@pytest.fixture(scope="module")
def demo_output(environment, folder):
    demo = subprocess.run(
        COMMAND, env=environment, cwd=folder, capture_output=True, text=True, check=False
    )
    assert (demo.returncode, demo.stderr) == (0, "")
    return demo.stdout


@pytest.fixture
def port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.mark.parametrize(
    "line",
    [
        r"shop.jobs.water +- .+ complete +5 litres",
        r"shop.jobs.water +- .+ complete +6 litres",
        r"shop.jobs.water +- .+ scheduled +due in 3 days",
        r"shop.jobs.offer +- .+ expired +not executed in time",
        r"bind +tulips .+ complete +tulips bound for Ada",
        r"bind +lilies .+ cancelled +never ran",
        r"shop.jobs.charge +roses .+ failed +shop.jobs.CardRefused: expired in 2019",
        r"shop.jobs.follow_up +tulips .+ complete +Ada, are the tulips still fresh\?",
        r"shop.jobs.greet +Ada .+ scheduled +due in \d+ \w+",
        r"shop.jobs.buy +- .+ complete +flowers for \w+day",
        r"shop.tasks.thank +- .+ complete +a card for Ben",
    ],
)
def test_the_demo_shows_every_kind_of_job_and_its_result(demo_output, line):
    assert re.search(rf"^\d+ +{line}$", demo_output, re.MULTILINE)


def test_the_demo_shows_a_recurring_job_with_its_next_runs(demo_output):
    next_run = r"\w{3} \d\d \w{3} 08:00"
    line = rf"^shop.jobs.buy  At 08:00 every day, Europe/Berlin +\d +\d +{next_run}, {next_run}$"
    assert re.search(line, demo_output, re.MULTILINE)


def test_the_demo_prints_what_to_try_next(demo_output):
    assert "The roses are still unpaid" in demo_output
    assert "make demo-admin" in demo_output
    assert "Traceback" not in demo_output


def test_the_demo_starts_afresh_each_time(demo_output, environment):
    again = subprocess.run(COMMAND, env=environment, capture_output=True, text=True, check=True)
    assert len(again.stdout.splitlines()) == len(demo_output.splitlines())


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_the_demo_serves_the_admin_until_it_is_stopped(environment, port, stop):
    command = [*COMMAND, "--serve", "--port", str(port)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as demo:
        try:
            assert status_of(f"http://127.0.0.1:{port}/login/", demo) == 200
            demo.send_signal(stop)
            printed, _ = demo.communicate(timeout=MAX_WAIT_SECONDS)
        finally:
            demo.kill()
    assert f'"florist" with the password "tulips" at http://127.0.0.1:{port}/' in printed


def test_the_served_admin_has_something_on_each_page(environment, port, folder):
    command = [*COMMAND, "--serve", "--port", str(port)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as demo:
        try:
            assert status_of(f"http://127.0.0.1:{port}/login/", demo) == 200
            rows = rows_of(folder / "demo.sqlite3", demo)
        finally:
            demo.send_signal(signal.SIGINT)
            demo.communicate(timeout=MAX_WAIT_SECONDS)
    assert rows["complete"] > 500
    assert rows["failed"] > 10
    assert rows["kinds of error"] >= 2
    assert rows["late and not served"] == 2
    assert rows["paused"] == 1
    assert rows["statistics"] > 500
    assert not (Path("/proc") / str(rows["worker"])).exists()


JOBS = "FROM django_future_scheduledjob WHERE"
COUNTS = {
    "complete": f"SELECT count(*) {JOBS} status = 'complete'",
    "failed": f"SELECT count(*) {JOBS} status = 'failed'",
    "kinds of error": f"SELECT count(DISTINCT error_kind) {JOBS} status = 'failed'",
    "late and not served": f"SELECT count(*) {JOBS} queue_name = 'printer'",
    "paused": "SELECT count(*) FROM django_future_pausedqueue",
    "statistics": "SELECT count(*) FROM django_future_jobstatistics",
    "worker": "SELECT pid FROM django_future_worker",
}
PROGRESS = "SELECT count(*) FROM django_future_jobprogress WHERE done > 0"


def rows_of(path, demo):
    """Wait until the worker has reported progress, and return the numbers of rows."""
    deadline = time.monotonic() + MAX_WAIT_SECONDS
    with closing(sqlite3.connect(path)) as database:
        while not database.execute(PROGRESS).fetchone()[0]:
            assert demo.poll() is None and time.monotonic() < deadline
        return {name: database.execute(sql).fetchone()[0] for name, sql in COUNTS.items()}


def status_of(address, server):
    deadline = time.monotonic() + MAX_WAIT_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        try:
            with urlopen(address, timeout=MAX_WAIT_SECONDS) as answer:
                return answer.status
        except URLError:
            continue
    return None
