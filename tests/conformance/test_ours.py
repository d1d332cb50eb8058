"""The suite on the backend of this package, on the database of this run."""

from importlib.util import find_spec

import pytest

if find_spec("django_future.backend") is None:
    pytest.skip("The backend is not written yet.", allow_module_level=True)
if find_spec("django.tasks") is None:
    pytest.importorskip("django_tasks")

from tests.conformance.adapters import FutureTests

__all__ = ["FutureTests"]
