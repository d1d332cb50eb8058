"""Processes that a benchmark starts, watches and ends."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile

ROOT = Path(__file__).parent.parent
TO_END = 30  # seconds that a process has to end by itself
TO_RUN = 300  # seconds that a command has
LAST_WORDS = 2000  # characters of what it said


@contextmanager
def running(
    command: Sequence[str],
    env: Mapping[str, str],
    *,
    user: str | None = None,
    end_with: signal.Signals = signal.SIGTERM,
    is_server: bool = False,
) -> Iterator[subprocess.Popen[bytes]]:
    """Unset `command` running, and end it politely.

    What it says is shown on an error only, and what a server says only if it was the one to fail.
    """
    with TemporaryFile() as output:
        # In a session of its own, an interrupt from the terminal reaches this process only, and
        # whatever the command has started can be found.
        process = subprocess.Popen(
            command, env=_environment(env), cwd=ROOT if user is None else "/", user=user,
            stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            yield process
        except Exception:
            if not is_server or process.poll() is not None:
                output.seek(0)
                sys.stderr.write(output.read().decode(errors="replace")[-LAST_WORDS:])
            raise
        finally:
            _end(process, end_with)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let a termination end this process as an interrupt does: with all that it has started."""

    def interrupt(*_) -> None:
        raise KeyboardInterrupt

    before = {
        number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run(command: Sequence[str], env: Mapping[str, str], *, seconds: float = TO_RUN) -> str:
    """Run `command` to its end, and return what it printed."""
    try:
        done = subprocess.run(
            command, env=_environment(env), cwd=ROOT, check=True, timeout=seconds,
            capture_output=True, text=True,
        )  # fmt: skip
    except subprocess.CalledProcessError as error:
        sys.stderr.write(error.stderr[-LAST_WORDS:])
        raise
    return done.stdout


def python(*arguments: str) -> list[str]:
    """Return the command that runs this Python with `arguments`."""
    return [sys.executable, *arguments]


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process and its children have used."""
    # The second field is the program's name in parentheses, which may contain spaces.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return own + sum(cpu_seconds(int(child)) for child in children)


def peak_memory(pid: int) -> float:
    """Return how many MiB a process has used at most."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def _end(process: subprocess.Popen[bytes], end_with: signal.Signals) -> None:
    try:
        process.send_signal(end_with)
        process.wait(TO_END)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _environment(env: Mapping[str, str]) -> dict[str, str]:
    # What is measured is the library beside the benchmarks, whichever is installed.
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]), **env}
