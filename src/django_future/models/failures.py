"""The model of a note on failed jobs that are dealt with."""

from datetime import datetime
from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from django_future.databases import RowsWithJobs
from django_future.models.fields import InstantField, attribute
from django_future.rows import TypedModel

MAX_AUTHOR_LENGTH = 150  # of a user name


class FailureNote(TypedModel):
    """Says that failed jobs are dealt with: who decided it, when, and why."""

    id: int
    # The name, not a key: the users may be in another database, and may be deleted.
    author: str = attribute(models.CharField(_("author"), max_length=MAX_AUTHOR_LENGTH))
    text: str = attribute(models.CharField(_("note"), max_length=255, default="", blank=True))
    created_at: datetime = attribute(InstantField(_("created at")))

    objects: "ClassVar[RowsWithJobs[FailureNote]]" = attribute(RowsWithJobs.as_manager())

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("failure note")
        verbose_name_plural = _("failure notes")

    def __str__(self) -> str:
        return self.text or self.author
