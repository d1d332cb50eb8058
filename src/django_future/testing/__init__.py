"""Helpers for the tests of a project: check what is scheduled, execute it, and let time pass."""

from django_future.testing.assertions import (
    assert_none_left,
    assert_not_scheduled,
    assert_recurs,
    assert_scheduled,
)
from django_future.testing.inline import override_future
from django_future.testing.running import perform_job, run_due_jobs
from django_future.testing.travel import travel_to

__all__ = [
    "assert_none_left",
    "assert_not_scheduled",
    "assert_recurs",
    "assert_scheduled",
    "override_future",
    "perform_job",
    "run_due_jobs",
    "travel_to",
]
