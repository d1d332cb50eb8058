"""Tracebacks: the error first, then the frames of the project. Any text may be stored."""

import re
from collections.abc import Iterable, Iterator
from itertools import groupby, takewhile
from typing import Any, NamedTuple

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

MAX_FRAMES = 500
MAX_HEADLINE_LENGTH = 500  # characters

_HEADER = "Traceback (most recent call last):"
_GROUP_HEADER = "+ Exception Group Traceback (most recent call last):"
_GROUP_MARGIN = "  | "
_GROUP_START = re.compile(r"^\s*\+-\+-+ 1 -+$")
_FRAME = re.compile(r'^  File "(?P<path>[^"\n]+)", line (?P<line>\d+), in (?P<function>.+)$')
_REPEATED = re.compile(r"^  \[Previous line repeated \d+ more times?\]$")
_CARETS = re.compile(r"^[\s~^]+$")
_ERROR = re.compile(r"^(?P<kind>[^\W\d][\w.<>]*)(?:: (?P<message>.*)|:?)$", re.DOTALL)
_INSTALLED = re.compile(r"[/\\](?:site|dist)-packages[/\\](?P<package>[^/\\]+)")
_OWN_LIBRARY = re.compile(r"(?:^|[/\\])django_future[/\\]")
_STANDARD = re.compile(r"^<frozen |[/\\](?:lib(?:64)?[/\\]python\d[^/\\]*|Lib)[/\\]")
_CAUSES: dict[str, Any] = {
    "The above exception was the direct cause of the following exception:": gettext_lazy(
        "Its cause"
    ),
    "During handling of the above exception, another exception occurred:": gettext_lazy(
        "While this error was handled"
    ),
}


class Frame(NamedTuple):
    """One call in a traceback."""

    path: str
    line: str
    function: str
    source: str

    @property
    def package(self) -> str:
        """The library that contains the code; an empty text for code of the project."""
        if found := _INSTALLED.search(self.path):
            return found["package"].removesuffix(".py")
        if _OWN_LIBRARY.search(self.path):
            return "django_future"
        return "python" if _STANDARD.search(self.path) else ""


class Frames(NamedTuple):
    """Consecutive frames of the project, or of libraries, which are folded."""

    is_own: bool
    frames: list[Frame]

    @property
    def summary(self) -> str:
        """How many calls are folded, and of which libraries."""
        packages = ", ".join(dict.fromkeys(frame.package for frame in self.frames))
        text = _("Calls in %(packages)s: %(count)s")
        return text % {"packages": packages, "count": len(self.frames)}


class RaisedError(NamedTuple):
    """One exception of a chain, and how it belongs to the one that is shown before it."""

    relation: str
    kind: str
    message: str
    groups: list[Frames]
    rest: str  # the exceptions of a group

    @property
    def message_start(self) -> str:
        """The message, cut after `MAX_HEADLINE_LENGTH` characters."""
        text = self.message
        return text if len(text) <= MAX_HEADLINE_LENGTH else f"{text[:MAX_HEADLINE_LENGTH]}…"


def parse(text: str) -> list[RaisedError]:
    """Return the exceptions of a traceback: the raised one first, then what it was raised from.

    Returns an empty list if the text is no traceback.
    """
    blocks = list(_blocks(text))
    found = [_error(lines, relation) for lines, relation in reversed(blocks)]
    errors = [error for error in found if error is not None]
    # A chain that is cut in its middle, or is not of Python, is shown as it is.
    return errors if len(errors) == len(found) else []


def _blocks(text: str) -> Iterator[tuple[list[str], str]]:
    """Yield the lines of each exception, and how the next exception came from it."""
    lines: list[str] = []
    for line in text.splitlines():
        if line.removeprefix("  | ").strip() in _CAUSES and lines:
            yield lines, str(_CAUSES[line.removeprefix("  | ").strip()])
            lines = []
        else:
            lines.append(line)
    yield lines, ""


def _error(lines: list[str], relation: str) -> RaisedError | None:
    lines, rest = _without_group(_stripped(lines))
    has_header = bool(lines) and lines[0] == _HEADER
    frames, message = _frames(lines[1:]) if has_header else ([], lines)
    found = _ERROR.match("\n".join(_with_kind_first(message)).strip("\n"))
    if found is None or not (frames or has_header or "." in found["kind"] or rest):
        return None
    return RaisedError(relation, found["kind"], found["message"] or "", _grouped(frames), rest)


def _stripped(lines: list[str]) -> list[str]:
    while lines and not lines[0].strip():
        lines = lines[1:]
    while lines and not lines[-1].strip():
        lines = lines[:-1]
    return lines


def _without_group(lines: list[str]) -> tuple[list[str], str]:
    """Return the traceback of an exception group itself, and the text of its exceptions."""
    if not lines or lines[0].strip() != _GROUP_HEADER:
        return lines, ""
    own = [_HEADER]
    for index, line in enumerate(lines[1:], 1):
        if _GROUP_START.match(line):
            return own, "\n".join(lines[index:])
        own.append(line.removeprefix(_GROUP_MARGIN))
    return own, ""


def _frames(lines: list[str]) -> tuple[list[Frame], list[str]]:
    """Return the frames at the beginning of `lines`, and the other lines, which are the error."""
    frames: list[Frame] = []
    for index, line in enumerate(lines):
        if found := _FRAME.match(line):
            frames.append(Frame(found["path"], found["line"], found["function"], ""))
        elif frames and line.startswith("    "):
            if not _CARETS.match(line):
                source = f"{frames[-1].source}\n{line[4:]}".strip("\n")
                frames[-1] = frames[-1]._replace(source=source)
        elif not _REPEATED.match(line):
            return frames, lines[index:]
    return frames, []


def _with_kind_first(message: list[str]) -> list[str]:
    """Return the lines of an error with the place of a syntax error after its message."""
    place = list(takewhile(lambda line: line.startswith("  "), message))
    return [*message[len(place) :], *place]


def _grouped(frames: Iterable[Frame]) -> list[Frames]:
    groups = groupby(list(frames)[:MAX_FRAMES], key=lambda frame: not frame.package)
    return [Frames(is_own, list(group)) for is_own, group in groups]
