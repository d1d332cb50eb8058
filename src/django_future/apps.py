"""The Django app."""

from typing import Any

from django.apps import AppConfig
from django.core import mail
from django.db import connections, router
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class FutureConfig(AppConfig):
    """The app that schedules calls of functions."""

    name = "django_future"
    verbose_name = _("Scheduled jobs")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the system checks, and connect the receivers of signals."""
        from django_future import checks, log  # noqa: F401, PLC0415
        from django_future.scheduling import recurring  # noqa: F401, PLC0415

        post_migrate.connect(_synchronise_declarations, sender=self)


def _synchronise_declarations(*, using: str, **_: Any) -> None:
    """Apply the declared recurring jobs after `migrate`."""
    # The tests of a project begin without them. `travel_to` applies them.
    if hasattr(mail, "outbox"):
        return
    from django_future.models import RecurringJob  # noqa: PLC0415
    from django_future.scheduling.declared import synchronise  # noqa: PLC0415
    from django_future.schema import describe_missing  # noqa: PLC0415

    if not router.allow_migrate_model(using, RecurringJob):
        return
    # Django sends the signal for all apps, even if only the migrations of another one were applied.
    if not describe_missing(connections[using]):
        synchronise(using, is_deploy=True)
