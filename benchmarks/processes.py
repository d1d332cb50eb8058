"""The processes that a benchmark starts, measures and ends."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile

ROOT = Path(__file__).parent.parent
END_TIMEOUT_SECONDS = 30  # for a process after its signal
RUN_TIMEOUT_SECONDS = 300  # for a command
MAX_OUTPUT_LENGTH = 2000  # characters that are shown after an error


@contextmanager
def running(
    command: Sequence[str],
    env: Mapping[str, str],
    *,
    user: str | None = None,
    end_with: signal.Signals = signal.SIGTERM,
    is_server: bool = False,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `command` during the block, and end it with a signal.

    Its output is shown only after an error, and that of a server only if the server has ended.
    """
    with TemporaryFile() as output:
        # In a new session, an interrupt from the terminal does not reach the command, and its
        # process group contains all processes that it starts.
        process = subprocess.Popen(
            command, env=_environment(env), cwd=ROOT if user is None else "/", user=user,
            stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            yield process
        except Exception:
            if not is_server or process.poll() is not None:
                output.seek(0)
                sys.stderr.write(output.read().decode(errors="replace")[-MAX_OUTPUT_LENGTH:])
            raise
        finally:
            _end(process, end_with)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Handle SIGTERM and SIGHUP like an interrupt, so that all started processes end."""

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


def run(
    command: Sequence[str], env: Mapping[str, str], *, seconds: float = RUN_TIMEOUT_SECONDS
) -> str:
    """Run `command` to its end, and return its output."""
    try:
        done = subprocess.run(
            command, env=_environment(env), cwd=ROOT, check=True, timeout=seconds,
            capture_output=True, text=True,
        )  # fmt: skip
    except subprocess.CalledProcessError as error:
        sys.stderr.write(error.stderr[-MAX_OUTPUT_LENGTH:])
        raise
    return done.stdout


def python(*arguments: str) -> list[str]:
    """Return a command that runs this Python with `arguments`."""
    return [sys.executable, *arguments]


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process and its children have used."""
    # The second field is the program's name in parentheses, which may contain spaces.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return own + sum(cpu_seconds(int(child)) for child in children)


def peak_memory(pid: int) -> float:
    """Return the peak memory of a process in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def _end(process: subprocess.Popen[bytes], end_with: signal.Signals) -> None:
    try:
        process.send_signal(end_with)
        process.wait(END_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _environment(env: Mapping[str, str]) -> dict[str, str]:
    # Measure the library in this checkout, even if another version is installed.
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]), **env}
