"""For pytest: `django_future.testing` as a fixture, and a mark for tests that leave no job behind.

It is loaded wherever django-future is installed, before there is a project.
"""

from types import ModuleType

import pytest

NO_JOBS_LEFT = "no_jobs_left"


@pytest.fixture
def future(db: None) -> ModuleType:  # noqa: ARG001
    """Return `django_future.testing`, for a test that may use the database."""
    from django_future import testing  # noqa: PLC0415

    return testing


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known."""
    config.addinivalue_line(
        "markers", f"{NO_JOBS_LEFT}: fail a test that ends while jobs of django-future wait."
    )


# Last, so after the test itself; and not at all if that has failed.
@pytest.hookimpl(trylast=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """Fail a marked test that leaves jobs behind."""
    if item.get_closest_marker(NO_JOBS_LEFT) is not None:
        from django_future.testing import assert_none_left  # noqa: PLC0415

        assert_none_left()
