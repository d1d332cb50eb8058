"""A worker process: it ends on a signal, and when one of its service threads has ended."""

import os
import signal
import time

import pytest

from django_future import ScheduledJob, schedule_job
from django_future.models import Worker
from django_future.status import Status
from tests.chaos.address import server_of, through
from tests.chaos.proxy import proxy_to
from tests.shop import jobs
from tests.support.processes import launch_worker
from tests.support.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def patch_environment(tmp_path):
    """Return a function that returns the environment of a worker that first executes `code`."""

    def environment(code):
        (tmp_path / "patch_of_test.py").write_text(code)
        path = f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"
        return {"PYTHONPATH": path, "TEST_IMPORT": "patch_of_test"}

    return environment


class TestStopSignals:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
    def test_each_stop_signal_stops_a_worker(self, start_worker, number):
        process = start_worker()
        process.send_signal(number)
        assert process.wait(timeout=20) == 0
        assert not Worker.objects.exists()

    def test_stop_signals_within_a_second_count_once_until_the_process_ends(self, start_worker):
        process = start_worker()
        until = time.monotonic() + 0.9
        while process.poll() is None and time.monotonic() < until:
            process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0
        assert not Worker.objects.exists()

    def test_a_stop_signal_during_a_fork_stops_the_new_process_too(
        self, start_worker, patch_environment
    ):
        process = start_worker(
            "--processes",
            "2",
            **patch_environment(
                "import os, signal\n"
                "from multiprocessing.context import ForkProcess\n"
                "start = ForkProcess.start\n"
                "def start_and_receive(process):\n"
                "    start(process)\n"
                "    os.kill(os.getpid(), signal.SIGTERM)\n"
                "ForkProcess.start = start_and_receive\n"
            ),
        )
        assert process.wait(timeout=20) == 0

    def test_a_stop_signal_during_a_reload_stops_the_reloader(
        self, start_worker, patch_environment
    ):
        process = start_worker(
            "--reload",
            **patch_environment(
                "import os, signal, sys\n"
                "from django_future.worker import loop\n"
                "def change(self):\n"
                "    os.kill(os.getppid(), signal.SIGTERM)\n"
                "    os._exit(3)\n"
                "loop.Loop.run = change\n"
            ),
        )
        assert process.wait(timeout=20) == 0

    def test_a_process_that_hangs_is_ended_within_the_shutdown_timeout(
        self, start_worker, patch_environment, capfd
    ):
        process = start_worker(
            "--shutdown-timeout",
            "0s",
            **patch_environment(
                "from threading import Event\n"
                "from django_future.worker import loop\n"
                "loop.Loop.run = lambda self: Event().wait()\n"
            ),
        )
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 75
        assert "The process does not end, so it is ended" in capfd.readouterr().out

    def test_a_coroutine_is_interrupted_after_the_shutdown_timeout(self, start_worker, hold_file):
        process = start_worker("--shutdown-timeout", "0s")
        job = schedule_job("0s", jobs.hold_async, args=[str(hold_file)])
        eventually(hold_file.exists)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
        job.refresh_from_db()
        assert (job.status, job.attempts, job.worker) == (Status.SCHEDULED, 0, "")

    def test_the_supervisor_kills_a_process_that_ignores_signals(self, start_worker):
        supervisor = start_worker("--processes", "2", "--shutdown-timeout", "0s")
        eventually(lambda: Worker.objects.count() == 2)
        os.kill(Worker.objects.earliest("pk").pid, signal.SIGSTOP)
        supervisor.send_signal(signal.SIGTERM)
        assert supervisor.wait(timeout=30) == 75


@pytest.mark.only_on("postgresql", "mysql", reason="SQLite has no network")
def test_a_worker_whose_network_is_half_open_ends_within_the_shutdown_timeout(
    start_worker, hold_file
):
    url = os.environ["DATABASE_URL"]
    with proxy_to(server_of(url)) as proxy:
        process = start_worker("--shutdown-timeout", "0s", **through(proxy.port, url))
        schedule_job("0s", jobs.hold, args=[str(hold_file)])
        eventually(hold_file.exists)
        proxy.freeze()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 75


class TestServiceThreads:
    @pytest.mark.parametrize(
        "patch",
        [
            "heartbeat._beat = fail",
            "Housekeeping.work = fail",
            "Watchdog._check = fail",
            "_WorkerProcess._listen = fail",
            "_WorkerProcess._listen = end",
        ],
    )
    def test_a_process_exits_with_75_when_a_service_thread_has_ended(
        self, patch_environment, patch, capfd
    ):
        code = (
            "from django_future.execution.watchdog import Watchdog\n"
            "from django_future.worker import heartbeat\n"
            "from django_future.worker.housekeeping import Housekeeping\n"
            "from django_future.worker.process import _WorkerProcess\n"
            "def fail(*args): exit(3)\n"
            "def end(*args): pass\n"
        )
        process = launch_worker(**patch_environment(code + patch), HEARTBEAT="1s")
        assert process.wait(timeout=30) == 75
        assert "has ended, so this process ends" in capfd.readouterr().out


def test_a_heartbeat_file_that_cannot_be_written_does_not_end_the_heartbeat(start_worker, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    start_worker("--heartbeat-file", str(folder / "alive"), HEARTBEAT="0.4s")
    eventually((folder / "alive").exists)
    (folder / "alive").unlink()
    folder.rename(tmp_path / "gone")
    before = Worker.objects.get().seen_at
    eventually(lambda: (Worker.objects.get().seen_at - before).total_seconds() > 1)
    (tmp_path / "gone").rename(folder)
    eventually((folder / "alive").exists)


def test_slow_or_failing_housekeeping_does_not_delay_the_heartbeat(start_worker, patch_environment):
    start_worker(
        **patch_environment(
            "from threading import Event\n"
            "from django_future.worker import maintenance\n"
            "def fail(store): raise ValueError('no')\n"
            "maintenance.rescue = fail\n"
            "maintenance.prune = lambda store: Event().wait()\n"
        ),
        HEARTBEAT="0.4s",
    )
    schedule_job("0s", jobs.trace, expires="1h")
    before = Worker.objects.get().seen_at
    eventually(lambda: (Worker.objects.get().seen_at - before).total_seconds() > 2)
    assert ScheduledJob.objects.get().status == Status.COMPLETE


@pytest.mark.parametrize(
    ("patch", "words"),
    [
        ("Pool._run = hang", "none of its threads gets a connection to the database"),
        ("Loop._work = hang", "its database has not answered a claim for"),
    ],
)
def test_a_worker_that_cannot_execute_jobs_logs_it_and_stops_touching_its_file(
    start_worker, patch_environment, patch, words, tmp_path, capfd
):
    code = (
        "from threading import Event\n"
        "from django_future.worker.loop import Loop\n"
        "from django_future.worker.pool import Pool\n"
        "def hang(self): Event().wait()\n"
    )
    path, shown = tmp_path / "alive", []
    start_worker("--heartbeat-file", str(path), **patch_environment(code + patch), HEARTBEAT="0.4s")

    def is_said():
        shown.append(capfd.readouterr().out)
        return f"This worker can run no job: {words}" in "".join(shown)

    eventually(is_said)
    path.unlink(missing_ok=True)
    before = Worker.objects.get().seen_at
    eventually(lambda: (Worker.objects.get().seen_at - before).total_seconds() > 1)
    assert not path.exists()
