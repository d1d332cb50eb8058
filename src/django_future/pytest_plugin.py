"""The pytest plugin: the fixture `future` and the mark `no_jobs_left`.

pytest loads it in every environment with django-future, before Django is set up. Therefore the
imports of `django_future.testing` are inside functions.
"""

from types import ModuleType

import pytest

NO_JOBS_LEFT = "no_jobs_left"


@pytest.fixture
def future(db: None) -> ModuleType:  # noqa: ARG001
    """Return `django_future.testing`, with access to the database."""
    from django_future import testing  # noqa: PLC0415

    return testing


def pytest_configure(config: pytest.Config) -> None:
    """Register the mark."""
    config.addinivalue_line(
        "markers", f"{NO_JOBS_LEFT}: fail a test if jobs of django-future wait at its end."
    )


# `trylast` runs this hook after the test itself, and not at all if the test has failed.
@pytest.hookimpl(trylast=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """Fail a marked test if jobs wait at its end."""
    if item.get_closest_marker(NO_JOBS_LEFT) is not None:
        from django_future.testing import assert_none_left  # noqa: PLC0415

        assert_none_left()
