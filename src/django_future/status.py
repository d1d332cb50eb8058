"""The states of a job."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Status(models.TextChoices):
    """scheduled -> running -> complete or failed; scheduled -> expired or cancelled."""

    SCHEDULED = "scheduled", _("scheduled")
    RUNNING = "running", _("running")
    COMPLETE = "complete", _("complete")
    FAILED = "failed", _("failed")
    EXPIRED = "expired", _("expired")
    CANCELLED = "cancelled", _("cancelled")

    @classmethod
    def final(cls) -> list["Status"]:
        """Return the states that a job does not leave."""
        return [cls.COMPLETE, cls.FAILED, cls.EXPIRED, cls.CANCELLED]
