"""The progress and log lines of handlers, in memory until their worker writes them."""

import os
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
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
MAX_LOG_BYTES = 64 * 2**10
BIGINT_MAX = 2**63 - 1  # of a BigIntegerField

_inboxes: dict[str, "Inbox"] = {}  # by the name of the worker


def report_progress(job: "ScheduledJob", done: int, total: int | None, message: str) -> None:
    """Record the progress of a job.

    Raises `InvalidProgress`.
    """
    progress = Progress(
        _checked_number("done", done, minimum=0),
        None if total is None else _checked_number("total", total, minimum=1),
        _checked_text("message", message)[:MAX_MESSAGE_LENGTH],
    )
    # Stored on the job, because its next update may be only a line of its log.
    job.__dict__["_progress"] = progress
    _put(job, [])


def append_log(job: "ScheduledJob", text: str) -> None:
    """Add lines to the log of a job, each with the time.

    Raises `InvalidProgress`.
    """
    timestamp = f"{clock.now():%Y-%m-%d %H:%M:%S}Z"
    lines = _checked_text("text", text).splitlines()
    _put(job, [f"{timestamp} {line[:MAX_LINE_LENGTH]}" for line in lines])


@dataclass(frozen=True)
class Progress:
    """The progress of the latest attempt of a job, as its handler reports it."""

    done: int | None = None
    total: int | None = None
    message: str = ""


NO_PROGRESS = Progress()


@dataclass
class ProgressUpdate:
    """The progress of one attempt of a job that is not written yet."""

    job_id: int
    lease: int
    progress: Progress = NO_PROGRESS
    lines: deque[str] = field(default_factory=deque)
    # The `updated_at` of the last try to write, and how many of the lines it wrote.
    tried_at: datetime | None = None
    tried_lines: int = 0
    _size: int = 0

    def add(self, lines: Iterable[str]) -> None:
        """Add lines to the log, and remove the oldest if the log is too long."""
        for line in lines:
            self.lines.append(line)
            self._size += _size(line)
        while self._size > MAX_LOG_BYTES:
            self._drop_first()

    def begin_try(self, at: datetime, written_at: datetime | None) -> None:
        """Note a try to write the lines, and drop those that the last try wrote by `written_at`."""
        while self.tried_lines and written_at == self.tried_at:
            self._drop_first()
        self.tried_at, self.tried_lines = at, len(self.lines)

    def _drop_first(self) -> None:
        self._size -= _size(self.lines.popleft())
        self.tried_lines = max(self.tried_lines - 1, 0)


class Inbox:
    """The updates of the handlers of one worker that are not written yet.

    It calls `on_first` when it gets the first update, on the thread of the handler.
    """

    def __init__(self, worker_name: str, on_first: Callable[[], object]) -> None:
        self._worker_name = worker_name
        self._on_first = on_first
        self._lock = Lock()
        self._updates: dict[tuple[int, int], ProgressUpdate] = {}

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
        """Add log lines and the current progress of a job."""
        key = job.pk, job.lease
        with self._lock:
            is_first = not self._updates
            update = self._updates.setdefault(key, ProgressUpdate(*key))
            update.progress = job.__dict__.get("_progress", NO_PROGRESS)
            update.add(lines)
        if is_first:
            self._on_first()

    def take(self) -> list[ProgressUpdate]:
        """Remove and return all updates."""
        with self._lock:
            updates, self._updates = self._updates, {}
        return list(updates.values())

    def restore(self, updates: Iterable[ProgressUpdate]) -> None:
        """Add updates again that could not be written, and merge newer ones into them."""
        with self._lock:
            for update in updates:
                key = update.job_id, update.lease
                newer = self._updates.get(key, update)
                if newer is not update:
                    update.progress = newer.progress
                    update.add(newer.lines)
                self._updates[key] = update
            has_updates = bool(self._updates)
        if has_updates:
            self._on_first()


# A process that a handler forks has no thread that writes the updates.
os.register_at_fork(after_in_child=_inboxes.clear)


def _put(job: "ScheduledJob", lines: Iterable[str]) -> None:
    # A job that does not run in this process has no inbox, as in the tests of a project.
    inbox = _inboxes.get(job.worker)
    if inbox is not None:
        inbox.put(job, lines)


def _checked_number(name: str, number: Any, *, minimum: int) -> int:
    if type(number) is not int or not minimum <= number <= BIGINT_MAX:
        raise InvalidProgress(
            f"{name} is {number!r}. Give a whole number from {minimum} to 2**63 - 1."
        )
    return number


def _checked_text(name: str, text: Any) -> str:
    if not isinstance(text, str):
        raise InvalidProgress(f"{name} is {text!r}. Give a string.")
    return storable(text)


def _size(line: str) -> int:
    return len(line.encode()) + 1  # for the end of the line
