"""The worker processes: each is replaced when it dies, and none outlives the crew."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from tests.support.processes import ROOT

HEARTBEAT = 1.0  # seconds
COMMAND = ["-m", "tests.chaos.worker", "--no-reload", "-v0"]
FAREWELL = 120.0  # seconds for all to end once they are told to


class Crew:
    """Keeps `size` worker processes running, whatever is done to them."""

    def __init__(
        self, size: int, log: Path, environment: dict[str, str], *, threads: int = 2
    ) -> None:
        self.started = 0
        self.frozen: dict[subprocess.Popen[bytes], float] = {}
        self._leaving: list[subprocess.Popen[bytes]] = []
        self._size = size
        self._command = [sys.executable, *COMMAND, "--threads", str(threads)]
        self._environment = os.environ | {"HEARTBEAT": f"{HEARTBEAT}s"} | environment
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
        """The processes that may be killed or stopped now.

        The eldest never is, so that a job which a living worker forgets is missed in the end: were
        the worker to die, others would rescue the job.
        """
        return [process for process in self.processes[1:] if process not in self.frozen]

    @property
    def pids(self) -> set[int]:
        """The processes that are at work, and have not been told to stop."""
        return {process.pid for process in self.processes if process not in self._leaving}

    @property
    def is_complete(self) -> bool:
        """Whether as many are at work as should be, and none is about to leave."""
        return len(self.pids) == self._size

    def terminate(self, process: subprocess.Popen[bytes]) -> None:
        """Tell a process to stop; told twice, it exits at once."""
        process.send_signal(signal.SIGTERM)
        self._leaving.append(process)

    def freeze(self, process: subprocess.Popen[bytes], seconds: float) -> None:
        """Stop a process, for so long."""
        process.send_signal(signal.SIGSTOP)
        self.frozen[process] = time.monotonic() + seconds

    def tend(self) -> None:
        """Wake those that were stopped for long enough, and replace those that died."""
        for process, until in list(self.frozen.items()):
            if time.monotonic() >= until:
                self._thaw(process)
        self.processes = [process for process in self.processes if process.poll() is None]
        while len(self.processes) < self._size:
            self.processes.append(self._start())

    def thaw(self) -> None:
        """Wake all."""
        for process in list(self.frozen):
            self._thaw(process)

    def dismiss(self) -> int:
        """Ask all to stop, and return how many did not."""
        for process in self.processes:
            self.terminate(process)
        deadline = time.monotonic() + FAREWELL
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
