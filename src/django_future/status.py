"""The states of a job."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Status(models.TextChoices):
    """scheduled -> running -> complete or failed; scheduled -> expired or cancelled.

    What failed, expired or was cancelled is scheduled again if somebody retries it. A job whose
    signature does not hold is parked, and scheduled again if an operator signs it.
    """

    SCHEDULED = "scheduled", _("scheduled")
    RUNNING = "running", _("running")
    COMPLETE = "complete", _("complete")
    FAILED = "failed", _("failed")
    EXPIRED = "expired", _("expired")
    CANCELLED = "cancelled", _("cancelled")
    PARKED = "parked", _("parked")

    @classmethod
    def final(cls) -> list["Status"]:
        """Return the states that a job does not leave by itself."""
        return [cls.COMPLETE, *cls.retryable()]

    @classmethod
    def retryable(cls) -> list["Status"]:
        """Return the final states that a job leaves if it is retried."""
        return [cls.FAILED, cls.EXPIRED, cls.CANCELLED]
