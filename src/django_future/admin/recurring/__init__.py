"""The list and the form of recurring jobs."""

from django_future.admin.recurring.model_admin import RecurringJobAdmin

__all__ = ["RecurringJobAdmin"]
