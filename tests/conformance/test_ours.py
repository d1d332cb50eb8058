"""The suite on the backend of this package, on the database of this run."""

from importlib.util import find_spec

import pytest

if find_spec("django.tasks") is None:
    pytest.importorskip("django_tasks")

from tests.conformance.adapters import FutureTests

__all__ = ["FutureTests"]

# `python -m tests.conformance --only future` runs them there, too.
pytestmark = pytest.mark.only_on(
    "sqlite", "postgresql", reason="on MariaDB, the flush after each test takes minutes in all"
)
