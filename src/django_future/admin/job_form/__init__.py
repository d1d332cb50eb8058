"""The form that schedules a job: a new one, or one like another job."""

from django_future.admin.job_form.pages import add_page, urls

__all__ = ["add_page", "urls"]
