"""The page of failures: their groups, and the failures that are dealt with."""

from django_future.admin.failures.pages import deal_with_selected, urls

# What the links of the page filter the list of jobs by.
FILTERS = ("error_kind", "failure_note", "failure_note__isnull")

__all__ = ["FILTERS", "deal_with_selected", "urls"]
