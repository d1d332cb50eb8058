"""The worker processes of a trial: each is replaced when it dies."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from tests.support.processes import ROOT

HEARTBEAT_SECONDS = 1.0
COMMAND = ["-m", "tests.chaos.worker", "--no-reload", "-v0"]
MAX_STOP_SECONDS = 120.0


class Crew:
    """Keeps `size` worker processes running until the block ends."""

    def __init__(
        self, size: int, log: Path, environment: dict[str, str], *, threads: int = 2
    ) -> None:
        self.started = 0
        self.frozen: dict[subprocess.Popen[bytes], float] = {}
        self._stopping: list[subprocess.Popen[bytes]] = []
        self._size = size
        self._command = [sys.executable, *COMMAND, "--threads", str(threads)]
        self._environment = os.environ | {"HEARTBEAT": f"{HEARTBEAT_SECONDS}s"} | environment
        self._log_path = log
        self._log: IO[bytes]
        self.processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        self._log = self._log_path.open("wb")
        self.tend()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
        self._log.close()

    @property
    def victims(self) -> list[subprocess.Popen[bytes]]:
        """The processes that may be killed or suspended now.

        The oldest process never is. If a live worker forgets a job, the trial must notice it;
        others would rescue the job of a dead worker.
        """
        return [process for process in self.processes[1:] if process not in self.frozen]

    @property
    def pids(self) -> set[int]:
        """The ids of the processes that were not asked to stop."""
        return {process.pid for process in self.processes if process not in self._stopping}

    @property
    def is_complete(self) -> bool:
        """Whether all processes run, and none is stopping."""
        return len(self.pids) == self._size

    def terminate(self, process: subprocess.Popen[bytes]) -> None:
        """Send SIGTERM to a process. A second one makes it exit at once."""
        process.send_signal(signal.SIGTERM)
        self._stopping.append(process)

    def freeze(self, process: subprocess.Popen[bytes], seconds: float) -> None:
        """Suspend a process for a time."""
        process.send_signal(signal.SIGSTOP)
        self.frozen[process] = time.monotonic() + seconds

    def tend(self) -> None:
        """Resume processes whose time is over, and replace those that died."""
        for process, until in list(self.frozen.items()):
            if time.monotonic() >= until:
                self._thaw(process)
        self.processes = [process for process in self.processes if process.poll() is None]
        while len(self.processes) < self._size:
            self.processes.append(self._start())

    def thaw(self) -> None:
        """Resume all suspended processes."""
        for process in list(self.frozen):
            self._thaw(process)

    def dismiss(self) -> int:
        """Send SIGTERM to all processes, and return how many did not end."""
        for process in self.processes:
            self.terminate(process)
        deadline = time.monotonic() + MAX_STOP_SECONDS
        while self.processes and time.monotonic() < deadline:
            self.processes = [process for process in self.processes if process.poll() is None]
            time.sleep(0.02)
        return len(self.processes)

    def _start(self) -> subprocess.Popen[bytes]:
        self.started += 1
        return subprocess.Popen(
            self._command,
            cwd=ROOT, env=self._environment, stdout=self._log, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def _thaw(self, process: subprocess.Popen[bytes]) -> None:
        process.send_signal(signal.SIGCONT)
        del self.frozen[process]
