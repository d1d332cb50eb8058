"""Processes that execute jobs, for tests: `python -m tests.support.processes`."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from django.db import OperationalError, transaction
from django.db.models import F

ROOT = Path(__file__).parents[2]


def start_runner(**environment: str) -> "subprocess.Popen[bytes]":
    """Start a process that executes due jobs in a one-off run."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.processes"], cwd=ROOT, env=os.environ | environment
    )


def launch_worker(
    *options: str, output: Path | None = None, **environment: str
) -> "subprocess.Popen[bytes]":
    """Start a worker process, with its output in the file `output` if given."""
    command = [sys.executable, "-m", "django", "future_worker", "--no-reload", "-v0", *options]
    environment = os.environ | environment
    if output is None:
        return subprocess.Popen(command, cwd=ROOT, env=environment)
    with output.open("ab") as file:
        return subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=file, stderr=subprocess.STDOUT
        )


def stop_at_once(process: "subprocess.Popen[bytes]") -> bool:
    """Send a worker another SIGTERM, and return whether it has ended."""
    process.send_signal(signal.SIGCONT)
    process.send_signal(signal.SIGTERM)
    return process.poll() is not None


def stop(process: "subprocess.Popen[bytes]") -> None:
    """Suspend a worker at a moment when it holds no lock that blocks others."""
    while True:
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        if _is_writable():
            return
        process.send_signal(signal.SIGCONT)


def _is_writable() -> bool:
    from django_future.models import ScheduledJob, Worker

    try:
        with transaction.atomic():
            for model in (Worker, ScheduledJob):
                list(model.objects.select_for_update(nowait=True))
            Worker.objects.update(pid=F("pid"))  # SQLite has no row locks
    except OperationalError:
        return False
    return True


def main() -> None:
    """Execute due jobs in a one-off run."""
    import django

    django.setup()
    from django_future import run_jobs

    run_jobs(ignore_errors=True)


if __name__ == "__main__":
    main()
