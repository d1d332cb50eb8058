"""The model of the declarations of recurring jobs that were applied to the database."""

from datetime import datetime
from typing import ClassVar

from django.utils.translation import gettext_lazy as _

from django_future.databases import RowsWithJobs
from django_future.models.fields import InstantField, attribute
from django_future.models.key_field import KeyField
from django_future.rows import TypedModel


class AppliedDeclarations(TypedModel):
    """All declarations of one version of the code, and when they were applied.

    A worker with older code, which starts during a deploy, finds its own row, and knows that it is
    not the latest.
    """

    fingerprint: str = attribute(KeyField(_("fingerprint"), max_length=64, primary_key=True))
    applied_at: datetime = attribute(InstantField(_("applied at")))

    objects: "ClassVar[RowsWithJobs[AppliedDeclarations]]" = attribute(RowsWithJobs.as_manager())

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("applied declarations")
        verbose_name_plural = _("applied declarations")

    def __str__(self) -> str:
        return self.fingerprint[:12]
