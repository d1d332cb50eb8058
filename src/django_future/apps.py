"""The Django app."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class FutureConfig(AppConfig):
    """Schedule callables for a time to come."""

    name = "django_future"
    verbose_name = _("Scheduled jobs")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Connect the system checks and the log."""
        from django_future import checks, log  # noqa: F401, PLC0415
