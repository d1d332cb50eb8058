"""Handlers that remember how they were called."""

from typing import Any

CALLS: list[tuple[Any, ...]] = []


def one(*args, **kwargs):
    """Remember the call."""
    CALLS.append(("tests.shop.witness.one", None, args, kwargs))


def two(*args, **kwargs):
    """Remember the call."""
    CALLS.append(("tests.shop.witness.two", None, args, kwargs))


def bound(content_object, *args, **kwargs):
    """Remember the call, and the object."""
    CALLS.append(("tests.shop.witness.bound", content_object, args, kwargs))


def _hidden(*args):
    CALLS.append(("tests.shop.witness._hidden", None, args, {}))


def call_of(spec):
    """Return the call that a spec of `schedule_jobs` asks for, as it is remembered."""
    content_object = spec.get("content_object")
    return spec["callable"], content_object, tuple(spec["args"]), spec["kwargs"]
