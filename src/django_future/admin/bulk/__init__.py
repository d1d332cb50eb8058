"""Acts on all jobs that match the filter of the list, in batches, over several requests."""

from django_future.admin.bulk.pages import or_on_all, urls

__all__ = ["or_on_all", "urls"]
