"""The Django app."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class FutureConfig(AppConfig):
    """The app that schedules calls of functions."""

    name = "django_future"
    verbose_name = _("Scheduled jobs")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the system checks, and connect the log to the signals."""
        from django_future import checks, log  # noqa: F401, PLC0415
