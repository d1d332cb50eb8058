"""The columns of a job."""

from datetime import datetime
from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from django_future import signatures
from django_future.content_objects import ContentObjectField
from django_future.handlers import MAX_NAME_LENGTH
from django_future.models.fields import (
    InstantField,
    KeyField,
    SignatureField,
    StoredField,
    attribute,
)
from django_future.options import (
    MAX_KEY_LENGTH,
    MAX_PRIORITY,
    MAX_QUEUE_NAME_LENGTH,
    MIN_PRIORITY,
)
from django_future.status import Status

MAX_OBJECT_ID_LENGTH = 255
MAX_ALIAS_LENGTH = 100


class JobColumns(models.Model):
    """What a row holds. The annotations say what instances have, to any type checker."""

    id: int
    callable_name: str = attribute(KeyField(_("callable"), max_length=MAX_NAME_LENGTH))
    args: Any = attribute(StoredField(_("arguments"), default=list))
    kwargs: Any = attribute(StoredField(_("keyword arguments"), default=dict))

    content_type: ContentType | None = attribute(
        models.ForeignKey(
            ContentType, models.CASCADE, null=True, blank=True, db_index=False, related_name="+"
        )
    )
    # Wide enough for a primary key of any type, written out.
    object_id: str | None = attribute(
        KeyField(_("object id"), max_length=MAX_OBJECT_ID_LENGTH, null=True, blank=True)
    )
    # None means the database in which the routers write objects of this model.
    object_database: str | None = attribute(
        KeyField(_("object database"), max_length=MAX_ALIAS_LENGTH, null=True, blank=True)
    )
    content_object = ContentObjectField(for_concrete_model=False)

    status: str = attribute(
        models.CharField(
            _("status"), max_length=10, choices=Status.choices, default=Status.SCHEDULED
        )
    )
    scheduled_at: datetime = attribute(InstantField(_("scheduled at")))
    first_due_at: datetime | None = attribute(
        InstantField(
            _("first due at"),
            null=True,
            blank=True,
            help_text=_("When it was scheduled for at first, if it was moved for another attempt."),
        )
    )
    expires_at: datetime | None = attribute(
        InstantField(
            _("expires at"), null=True, blank=True, help_text=_("Past it the job never runs.")
        )
    )
    queue_name: str = attribute(
        KeyField(_("queue"), max_length=MAX_QUEUE_NAME_LENGTH, default="default")
    )
    priority: int = attribute(
        models.SmallIntegerField(
            _("priority"),
            default=0,
            validators=[MinValueValidator(MIN_PRIORITY), MaxValueValidator(MAX_PRIORITY)],
            help_text=_("Of jobs that are due, the highest priority starts first."),
        )
    )

    attempts: int = attribute(models.PositiveIntegerField(_("attempts"), default=0))
    max_attempts: int = attribute(
        models.PositiveIntegerField(
            _("most attempts"), default=1, help_text=_("That many may fail before the job does.")
        )
    )
    rescues: int = attribute(
        models.PositiveIntegerField(
            _("rescues"),
            default=0,
            help_text=_("How often a worker was lost while it ran this job."),
        )
    )
    is_rescuable: bool = attribute(
        models.BooleanField(
            _("may be rescued"),
            default=True,
            help_text=_("Whether it runs again after its worker was lost while it ran."),
        )
    )
    unique_key: str | None = attribute(
        KeyField(
            _("unique key"),
            max_length=MAX_KEY_LENGTH,
            null=True,
            blank=True,
            help_text=_("No other job of its callable has it, until the job has ended."),
        )
    )
    options: Any = attribute(
        StoredField(
            _("options"), null=True, blank=True, help_text=_("What was said of this job alone.")
        )
    )
    # After what it is made of, whose columns are made ready for saving first.
    signature: str = attribute(
        SignatureField(
            _("signature"),
            max_length=signatures.LENGTH,
            default="",
            blank=True,
            help_text=_(
                "Shows that code wrote what the job will do. Without it the job does not run."
            ),
        )
    )
    worker: str = attribute(KeyField(_("worker"), max_length=100, default="", blank=True))
    lease: int = attribute(
        models.PositiveBigIntegerField(
            _("lease"),
            default=0,
            help_text=_("Grows with every claim; only its holder may finish."),
        )
    )

    created_at: datetime = attribute(InstantField(_("created at"), auto_now_add=True))
    started_at: datetime | None = attribute(InstantField(_("started at"), null=True, blank=True))
    finished_at: datetime | None = attribute(InstantField(_("finished at"), null=True, blank=True))
    return_value: Any = attribute(StoredField(_("return value"), null=True, blank=True))
    error: str = attribute(models.TextField(_("error"), default="", blank=True))

    class Meta:
        abstract = True
