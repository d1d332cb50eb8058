"""Processes that a benchmark starts, watches and ends."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

ROOT = Path(__file__).parent.parent
TO_END = 30  # seconds that a process has to end by itself
TO_RUN = 300  # seconds that a command has


@contextmanager
def running(command: Sequence[str], env: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Keep `command` running, and end it politely; what it says is shown only on an error."""
    with TemporaryFile() as output:
        process = subprocess.Popen(
            command, env=_environment(env), cwd=ROOT, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            yield process
        except BaseException:
            output.seek(0)
            sys.stderr.write(output.read().decode(errors="replace"))
            raise
        finally:
            _end(process)


def run(command: Sequence[str], env: Mapping[str, str]) -> None:
    """Run `command` to its end."""
    subprocess.run(command, env=_environment(env), cwd=ROOT, check=True, timeout=TO_RUN)


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


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(TO_END)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _environment(env: Mapping[str, str]) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), **env}
