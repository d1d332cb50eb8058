"""Processes that run jobs, for the tests that need real ones: `python -m tests.runner`."""

import os
import signal
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent.parent


def start_runner(**environment: str) -> "subprocess.Popen[bytes]":
    """Start a process that runs what is due, once."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.runner"], cwd=HERE, env=os.environ | environment
    )


def start_worker(*options: str, **environment: str) -> "subprocess.Popen[bytes]":
    """Start a worker."""
    command = [sys.executable, "-m", "django", "future_worker", "--no-reload", "-v0", *options]
    return subprocess.Popen(command, cwd=HERE, env=os.environ | environment)


def second_signal(process: "subprocess.Popen[bytes]") -> bool:
    """Tell a worker again to stop, now, and tell whether it has."""
    process.send_signal(signal.SIGCONT)
    process.send_signal(signal.SIGTERM)
    return process.poll() is not None


def main() -> None:
    """Run what is due, once."""
    import django

    django.setup()
    from django_future import run_jobs

    run_jobs(ignore_errors=True)


if __name__ == "__main__":
    main()
