"""The status of a job."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Status(models.TextChoices):
    """The status of a job.

    scheduled -> running -> complete or failed, scheduled -> expired or cancelled. A retry by hand
    changes failed, expired and cancelled to scheduled. A job whose signature is not valid becomes
    parked, and scheduled again after it is signed.
    """

    SCHEDULED = "scheduled", _("scheduled")
    RUNNING = "running", _("running")
    COMPLETE = "complete", _("complete")
    FAILED = "failed", _("failed")
    EXPIRED = "expired", _("expired")
    CANCELLED = "cancelled", _("cancelled")
    PARKED = "parked", _("parked")

    @classmethod
    def label_of(cls, value: str) -> str:
        """Return the word for a status of a row, or the value itself if SQL wrote another one."""
        try:
            return str(cls(value).label)
        except ValueError:
            return value

    @classmethod
    def final(cls) -> list["Status"]:
        """Return the statuses in which jobs end."""
        return [cls.COMPLETE, *cls.retryable()]

    @classmethod
    def retryable(cls) -> list["Status"]:
        """Return the final statuses from which a job can be retried."""
        return [cls.FAILED, cls.EXPIRED, cls.CANCELLED]

    @classmethod
    def cancellable(cls, *, running: bool = False) -> list["Status"]:
        """Return the statuses from which a job can be cancelled."""
        return [cls.SCHEDULED, cls.PARKED, *([cls.RUNNING] if running else [])]
