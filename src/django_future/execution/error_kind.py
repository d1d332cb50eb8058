"""The kind of an error: what failures with the same cause have in common."""

import os
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from django_future.models.columns import MAX_ERROR_KIND_LENGTH
from django_future.text import storable

MAX_FRAMES = 10_000  # of a traceback

_FOREIGN_FOLDERS = ("site-packages", "dist-packages")
_FOREIGN_ROOTS = (
    f"{Path(__file__).resolve().parents[1]}{os.sep}",
    *(f"{sysconfig.get_path(name)}{os.sep}" for name in ("stdlib", "platstdlib")),
)


def error_kind(exception: BaseException) -> str:
    """Return the class of an exception, and the function of the project that raised it.

    For example "CardDeclined in shop.payments.charge". The function is that of the innermost frame
    that is neither of this package, of the standard library nor of an installed package. Without
    such a frame, it is left out. Line numbers are too, because each deployment would change them.
    """
    try:
        place = _innermost_place(exception)
    except Exception:  # noqa: BLE001 - a module that code has made may have any globals
        place = ""
    return storable(f"{class_name(exception)}{place}")[:MAX_ERROR_KIND_LENGTH]


def class_name(exception: BaseException) -> str:
    """Return the name of the class, even if its metaclass replaces `__name__`."""
    return str(type.__dict__["__name__"].__get__(type(exception)))


def _innermost_place(exception: BaseException) -> str:
    innermost = None
    for frame in _frames(exception):
        if _belongs_to_project(frame.f_code):
            innermost = frame
    return "" if innermost is None else f" in {_place(innermost)}"


def _frames(exception: BaseException) -> Iterator[FrameType]:
    traceback = exception.__traceback__
    for _ in range(MAX_FRAMES):
        if traceback is None:
            return
        yield traceback.tb_frame
        traceback = traceback.tb_next


def _belongs_to_project(code: CodeType) -> bool:
    path = code.co_filename
    if path.startswith(("<frozen", *_FOREIGN_ROOTS)):
        return False
    return not any(f"{os.sep}{folder}{os.sep}" in path for folder in _FOREIGN_FOLDERS)


def _place(frame: FrameType) -> str:
    module: Any = frame.f_globals.get("__name__")
    return f"{module if type(module) is str else '?'}.{frame.f_code.co_qualname}"
