"""What handlers say of their own progress, in memory until their worker writes it."""

import os
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from django_future import clock
from django_future.exceptions import InvalidProgress
from django_future.text import storable

if TYPE_CHECKING:
    from django_future.models import ScheduledJob

MAX_MESSAGE_LENGTH = 255
MAX_LINE_LENGTH = 10_000  # characters
MAX_LOG_BYTES = 64 * 2**10  # bytes
BIGINT_MAX = 2**63 - 1  # number that a column holds

_inboxes: dict[str, "Inbox"] = {}  # by the name of the worker


def report_progress(job: "ScheduledJob", done: int, total: int | None, message: str) -> None:
    """Let it be known how far a job is.

    Raises `InvalidProgress`.
    """
    progress = Progress(
        _checked_number("done", done, least=0),
        None if total is None else _checked_number("total", total, least=1),
        _checked_text("message", message)[:MAX_MESSAGE_LENGTH],
    )
    # Kept with the job: what it says next may be a line of its log only.
    job.__dict__["_progress"] = progress
    _note(job, [])


def append_log(job: "ScheduledJob", text: str) -> None:
    """Add to the log of a job, each line with the time.

    Raises `InvalidProgress`.
    """
    said_at = f"{clock.now():%Y-%m-%d %H:%M:%S}Z"
    lines = _checked_text("A text for the log", text).splitlines()
    _note(job, [f"{said_at} {line[:MAX_LINE_LENGTH]}" for line in lines])


@dataclass(frozen=True)
class Progress:
    """How far the latest attempt at a job is, as its handler says."""

    done: int | None = None
    total: int | None = None
    message: str = ""


NO_PROGRESS = Progress()


@dataclass
class ProgressUpdate:
    """What a handler has said in one attempt at its job since it was last written."""

    job_id: int
    lease: int
    progress: Progress = NO_PROGRESS
    lines: deque[str] = field(default_factory=deque)
    _size: int = 0

    def add(self, lines: Iterable[str]) -> None:
        """Add lines to the log, and forget the oldest of them if they are too many."""
        for line in lines:
            self.lines.append(line)
            self._size += _size(line)
        while self._size > MAX_LOG_BYTES:
            self._size -= _size(self.lines.popleft())


class Inbox:
    """What the handlers of one worker have said and nobody has written yet.

    `on_first` is called with the first of it, on whatever thread the handler runs.
    """

    def __init__(self, worker_name: str, on_first: Callable[[], object]) -> None:
        self._worker_name = worker_name
        self._on_first = on_first
        self._lock = Lock()
        self._said: dict[tuple[int, int], ProgressUpdate] = {}

    def __enter__(self) -> Self:
        _inboxes[self._worker_name] = self
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        del _inboxes[self._worker_name]

    def put(self, job: "ScheduledJob", lines: Iterable[str]) -> None:
        """Take what the handler of a job says."""
        key = job.pk, job.lease
        with self._lock:
            is_first = not self._said
            said = self._said.setdefault(key, ProgressUpdate(*key))
            said.progress = job.__dict__.get("_progress", NO_PROGRESS)
            said.add(lines)
        if is_first:
            self._on_first()

    def take(self) -> list[ProgressUpdate]:
        """Return all of it, and hold it no longer."""
        with self._lock:
            said, self._said = self._said, {}
        return list(said.values())

    def put_back(self, said: Iterable[ProgressUpdate]) -> None:
        """Hold again what could not be written, and what was said meanwhile."""
        with self._lock:
            for one in said:
                key = one.job_id, one.lease
                newer = self._said.get(key, one)
                if newer is not one:
                    one.progress = newer.progress
                    one.add(newer.lines)
                self._said[key] = one
            is_any = bool(self._said)
        if is_any:
            self._on_first()


# A process that a handler forks reports nothing: no thread of it writes the inboxes.
os.register_at_fork(after_in_child=_inboxes.clear)


def _note(job: "ScheduledJob", lines: Iterable[str]) -> None:
    # No inbox is there for a job that does not run in this process, as in a project's tests.
    inbox = _inboxes.get(job.worker)
    if inbox is not None:
        inbox.put(job, lines)


def _checked_number(name: str, number: Any, *, least: int) -> int:
    if type(number) is not int or not least <= number <= BIGINT_MAX:
        raise InvalidProgress(
            f"{name} is {number!r}. Give a whole number from {least} to 2**63 - 1."
        )
    return number


def _checked_text(name: str, text: Any) -> str:
    if not isinstance(text, str):
        raise InvalidProgress(f"{name} is {text!r}. Give a text.")
    return storable(text)


def _size(line: str) -> int:
    return len(line.encode()) + 1  # for the end of the line
