"""Handlers that record their calls."""

from typing import Any

CALLS: list[tuple[Any, ...]] = []


def one(*args, **kwargs):
    """Record the call."""
    CALLS.append(("tests.shop.witness.one", None, args, kwargs))


def two(*args, **kwargs):
    """Record the call."""
    CALLS.append(("tests.shop.witness.two", None, args, kwargs))


def bound(content_object, *args, **kwargs):
    """Record the call and the object."""
    CALLS.append(("tests.shop.witness.bound", content_object, args, kwargs))


def _hidden(*args):
    CALLS.append(("tests.shop.witness._hidden", None, args, {}))


def call_of(spec):
    """Return the recorded call that a spec of `schedule_jobs` leads to."""
    content_object = spec.get("content_object")
    return spec["callable"], content_object, tuple(spec["args"]), spec["kwargs"]
