"""The columns of a job, and those that it shares with a recurring job."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.contrib.contenttypes.models import ContentType
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from django_future import signatures
from django_future.content_objects import ContentObjectField
from django_future.handlers import MAX_NAME_LENGTH
from django_future.models.fields import (
    InstantField,
    SignatureField,
    StoredField,
    attribute,
)
from django_future.models.key_field import KeyField
from django_future.options import (
    MAX_KEY_LENGTH,
    MAX_PRIORITY,
    MAX_QUEUE_NAME_LENGTH,
    MIN_PRIORITY,
)
from django_future.rows import TypedModel
from django_future.status import Status

if TYPE_CHECKING:
    from django_future.models.failures import FailureNote
    from django_future.models.recurring import RecurringJob

MAX_OBJECT_ID_LENGTH = 255
MAX_ALIAS_LENGTH = 100
MAX_ERROR_KIND_LENGTH = 255


class CallColumns(TypedModel):
    """The columns that say what is called. The annotations are the types of the attributes."""

    id: int
    callable_name: str = attribute(KeyField(_("handler"), max_length=MAX_NAME_LENGTH))
    args: list[Any] = attribute(StoredField(_("arguments"), default=list))
    kwargs: dict[str, Any] = attribute(StoredField(_("keyword arguments"), default=dict))

    content_type: ContentType | None = attribute(
        models.ForeignKey(
            ContentType, models.CASCADE, null=True, blank=True, db_index=False, related_name="+"
        )
    )
    # Wide enough for a primary key of any type as text.
    object_id: str | None = attribute(
        KeyField(_("object id"), max_length=MAX_OBJECT_ID_LENGTH, null=True, blank=True)
    )
    # None means the database to which the routers write objects of this model.
    object_database: str | None = attribute(
        KeyField(_("object database"), max_length=MAX_ALIAS_LENGTH, null=True, blank=True)
    )
    # None without an object, and if it was deleted.
    content_object: Any | None = attribute(ContentObjectField(for_concrete_model=False))

    # The alias of the backend if the call is a task of Django's Tasks API.
    task_backend: str | None = attribute(
        KeyField(_("task backend"), max_length=MAX_ALIAS_LENGTH, null=True, blank=True)
    )

    # An attribute that Django adds, declared for type checkers without a plugin for Django.
    content_type_id: int | None

    class Meta:
        abstract = True


class JobColumns(CallColumns):
    """The columns of a job."""

    status: str = attribute(
        KeyField(_("status"), max_length=10, choices=Status.choices, default=Status.SCHEDULED)
    )
    scheduled_at: datetime = attribute(InstantField(_("scheduled at")))
    first_due_at: datetime | None = attribute(
        InstantField(
            _("first due at"),
            null=True,
            blank=True,
            help_text=_("The first time for which the job was scheduled, if a retry has moved it."),
        )
    )
    expires_at: datetime | None = attribute(
        InstantField(
            _("expires at"),
            null=True,
            blank=True,
            help_text=_("After this time, the job does not start."),
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
            help_text=_("Of the due jobs, those with the highest priority start first."),
        )
    )

    attempts: int = attribute(models.PositiveIntegerField(_("attempts"), default=0))
    max_attempts: int = attribute(
        models.PositiveIntegerField(
            _("maximum attempts"),
            default=1,
            help_text=_("How many attempts may fail before the job fails."),
        )
    )
    rescues: int = attribute(
        models.PositiveIntegerField(
            _("rescues"),
            default=0,
            help_text=_("How often the job was rescued after its worker was lost."),
        )
    )
    is_rescuable: bool = attribute(
        models.BooleanField(
            _("may be rescued"),
            default=True,
            help_text=_("Whether the job is scheduled again if its worker is lost while it runs."),
        )
    )
    unique_key: str | None = attribute(
        KeyField(
            _("unique key"),
            max_length=MAX_KEY_LENGTH,
            null=True,
            blank=True,
            help_text=_("No other scheduled or running job of the same handler has this key."),
        )
    )
    options: Any = attribute(
        StoredField(
            _("options"),
            null=True,
            blank=True,
            help_text=_("Options of this job that differ from those of its handler."),
        )
    )
    # After the columns that it signs, because pre_save() encodes the columns in this order.
    signature: str = attribute(
        SignatureField(
            _("signature"),
            max_length=signatures.LENGTH,
            default="",
            blank=True,
            help_text=_("Proves that code scheduled the job. Without it, the job does not run."),
        )
    )
    worker: str = attribute(KeyField(_("worker"), max_length=100, default="", blank=True))
    lease: int = attribute(
        models.PositiveBigIntegerField(
            _("lease"),
            default=0,
            help_text=_(
                "Each claim raises it. Only the worker with the current lease can record the end."
            ),
        )
    )

    run_after: datetime | None = attribute(
        InstantField(
            _("run after"),
            null=True,
            blank=True,
            help_text=_("The earliest time of a task, as it was enqueued."),
        )
    )

    # A constraint in the database would slow down each claim, and a deletion of the recurring job.
    recurring: "RecurringJob | None" = attribute(
        models.ForeignKey(
            "django_future.RecurringJob",
            models.SET_NULL,
            null=True,
            blank=True,
            db_index=False,
            db_constraint=False,
            related_name="jobs",
            verbose_name=_("recurring job"),
        )
    )
    recurs_at: datetime | None = attribute(
        InstantField(
            _("recurs at"),
            null=True,
            blank=True,
            help_text=_("The instant of the recurring job for which this job runs."),
        )
    )

    created_at: datetime = attribute(InstantField(_("created at"), auto_now_add=True))
    started_at: datetime | None = attribute(InstantField(_("started at"), null=True, blank=True))
    finished_at: datetime | None = attribute(InstantField(_("finished at"), null=True, blank=True))
    return_value: Any = attribute(StoredField(_("return value"), null=True, blank=True))
    error: str = attribute(models.TextField(_("error"), default="", blank=True))
    # Failures with the same callable and the same kind are one group in the admin.
    error_kind: str = attribute(
        KeyField(
            _("kind of error"),
            max_length=MAX_ERROR_KIND_LENGTH,
            default="",
            blank=True,
            help_text=_("The exception of a failed job, and the function that raised it."),
        )
    )
    # No index, because each would slow down every claim and every completion.
    failure_note: "FailureNote | None" = attribute(
        models.ForeignKey(
            "django_future.FailureNote",
            models.SET_NULL,
            null=True,
            blank=True,
            db_index=False,
            db_constraint=False,
            related_name="jobs",
            verbose_name=_("failure note"),
        )
    )

    class Meta:
        abstract = True
