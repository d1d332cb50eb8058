"""The model of a recurring job, whose runs are jobs."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Self

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from django_future import clock, signatures
from django_future.databases import RowsWithJobs
from django_future.models.columns import CallColumns
from django_future.models.failures import MAX_AUTHOR_LENGTH
from django_future.models.fields import (
    InstantField,
    SignatureField,
    SpanField,
    StoredField,
    attribute,
    without_decoding,
)
from django_future.models.key_field import KeyField
from django_future.options import MAX_PRIORITY, MAX_QUEUE_NAME_LENGTH, MIN_PRIORITY
from django_future.recurrence.cron import MAX_CRON_LENGTH
from django_future.recurrence.missed import Missed
from django_future.recurrence.timing import MAX_ZONE_LENGTH, Timing

if TYPE_CHECKING:
    from django_future.models.job import ScheduledJob
    from django_future.when import When

MAX_RECURRING_NAME_LENGTH = 200
# The error of a recurring job that was declared in code.
NOT_DECLARED = "The code no longer declares it. Declare it again, or delete this row."
NEVER = "never"  # the `expires` of a recurring job whose runs never expire


class Overlap(models.TextChoices):
    """What happens to a run that is due while the last one has not ended."""

    ALLOW = "allow", pgettext_lazy("overlap", "both run")
    SKIP = "skip", pgettext_lazy("overlap", "it is skipped")
    QUEUE_ONE = "queue_one", pgettext_lazy("overlap", "one waits, and the others are skipped")


class RecurringJob(CallColumns):
    """A call that is scheduled again and again, by a cron expression or an interval."""

    name: str = attribute(KeyField(_("name"), max_length=MAX_RECURRING_NAME_LENGTH, unique=True))
    cron: str = attribute(
        models.CharField(
            _("cron"),
            max_length=MAX_CRON_LENGTH,
            blank=True,
            default="",
            help_text=_(
                "Minute, hour, day of month, month, day of week, such as 0 9 * * mon-fri. "
                "Give this or an interval."
            ),
        )
    )
    every: timedelta | None = attribute(
        SpanField(
            _("every"), null=True, blank=True, help_text=_("The interval, such as 90s or 1h30m.")
        )
    )
    timezone: str = attribute(
        models.CharField(
            _("time zone"),
            max_length=MAX_ZONE_LENGTH,
            help_text=_("The time zone of the cron expression, such as Europe/Berlin."),
        )
    )
    starts_at: datetime | None = attribute(InstantField(_("starts at"), null=True, blank=True))
    ends_at: datetime | None = attribute(InstantField(_("ends at"), null=True, blank=True))
    max_runs: int | None = attribute(
        models.PositiveIntegerField(
            _("maximum runs"),
            null=True,
            blank=True,
            validators=[MinValueValidator(1)],
            help_text=_("After so many runs, there are no more."),
        )
    )
    jitter: timedelta | None = attribute(
        SpanField(
            _("jitter"),
            null=True,
            blank=True,
            help_text=_("Each run is up to this much later, always the same for its instant."),
        )
    )
    missed: str = attribute(
        models.CharField(
            _("missed runs"),
            max_length=10,
            choices=Missed.choices,
            default=Missed.ONCE,
            help_text=_("For runs more than a minute late because no process ran jobs."),
        )
    )
    catch_up_window: timedelta | None = attribute(
        SpanField(
            _("catch-up window"),
            null=True,
            blank=True,
            help_text=_("Missed runs that are older are not run."),
        )
    )
    overlap: str = attribute(
        models.CharField(
            _("overlap"),
            max_length=10,
            choices=Overlap.choices,
            default=Overlap.ALLOW,
            help_text=_("For a run that is due while the last one has not ended."),
        )
    )
    queue_name: str | None = attribute(
        KeyField(
            _("queue"),
            max_length=MAX_QUEUE_NAME_LENGTH,
            null=True,
            blank=True,
            help_text=_("Empty: the queue of the handler."),
        )
    )
    priority: int | None = attribute(
        models.SmallIntegerField(
            _("priority"),
            null=True,
            blank=True,
            validators=[MinValueValidator(MIN_PRIORITY), MaxValueValidator(MAX_PRIORITY)],
            help_text=_("Empty: the priority of the handler."),
        )
    )
    expires: str = attribute(
        models.CharField(
            _("expires"),
            max_length=30,
            blank=True,
            default="",
            help_text=_(
                "How long after its time a run may start, such as 12h, or never. "
                "Empty: as the handler says."
            ),
        )
    )
    options: Any = attribute(
        StoredField(
            _("options"),
            null=True,
            blank=True,
            help_text=_("Options of the runs that differ from those of the handler."),
        )
    )
    # After the columns that it signs, because pre_save() encodes the columns in this order.
    signature: str = attribute(
        SignatureField(
            _("signature"),
            max_length=signatures.LENGTH,
            default="",
            blank=True,
            help_text=_("Proves that code or the admin wrote the call. Without it, nothing runs."),
        )
    )

    paused_at: datetime | None = attribute(InstantField(_("paused at"), null=True, blank=True))
    paused_reason: str = attribute(
        models.CharField(_("reason of the pause"), max_length=255, default="", blank=True)
    )
    paused_by: str = attribute(
        models.CharField(_("paused by"), max_length=MAX_AUTHOR_LENGTH, default="", blank=True)
    )
    is_declared: bool = attribute(
        models.BooleanField(
            _("declared in code"),
            default=False,
            help_text=_("The code decides what it calls, and when."),
        )
    )
    anchor_at: datetime = attribute(
        InstantField(_("anchor"), help_text=_("The intervals are counted from this time."))
    )
    next_run_at: datetime | None = attribute(InstantField(_("next run at"), null=True, blank=True))
    queued_at: datetime | None = attribute(
        InstantField(
            _("waiting run"),
            null=True,
            blank=True,
            help_text=_("The time of a run that waits until the last one has ended."),
        )
    )
    last_run_at: datetime | None = attribute(InstantField(_("last run at"), null=True, blank=True))
    runs: int = attribute(models.PositiveIntegerField(_("runs"), default=0))
    missed_runs: int = attribute(models.PositiveIntegerField(_("missed"), default=0))
    skipped_runs: int = attribute(models.PositiveIntegerField(_("skipped"), default=0))
    error: str = attribute(models.TextField(_("error"), default="", blank=True))

    jobs: "RowsWithJobs[ScheduledJob]"  # its runs
    objects: "ClassVar[RowsWithJobs[RecurringJob]]" = attribute(RowsWithJobs.as_manager())

    # As for a job: False if the row was loaded with a signature that is not valid.
    is_signed = True

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("recurring job")
        verbose_name_plural = _("recurring jobs")
        indexes = [
            models.Index(fields=["next_run_at"], name="future_recurring_due"),
            models.Index(fields=["queued_at"], name="future_recurring_queued"),
        ]

    def __str__(self) -> str:
        return self.name

    @classmethod
    def from_db(cls, *args: Any, **kwargs: Any) -> Self:
        """Return the recurring job of a row, and check its signature."""
        recurring = super().from_db(*args, **kwargs)
        recurring._check_signature()
        return recurring

    def refresh_from_db(self, *args: Any, **kwargs: Any) -> None:
        """Reload the row, even if a stored value is unreadable."""
        names = args[1] if len(args) > 1 else kwargs.get("fields")
        with without_decoding():
            super().refresh_from_db(*args, **kwargs)
            if names is None:
                self._check_signature()
            elif not {*names}.isdisjoint(signatures.SIGNED):
                self.is_signed = False

    @property
    def timing(self) -> Timing:
        """The instants of its schedule."""
        return Timing(
            cron=self.cron,
            every=self.every,
            zone=self.timezone,
            anchor_at=clock.from_row(self.anchor_at),
            starts_at=self.starts_at and clock.from_row(self.starts_at),
            ends_at=self.ends_at and clock.from_row(self.ends_at),
        )

    @property
    def is_paused(self) -> bool:
        """Whether it is paused."""
        return self.paused_at is not None

    def pause(self, reason: str = "", paused_by: str = "") -> None:
        """Pause it: no run starts until it is resumed; see `pause_recurring`."""
        from django_future.scheduling.recurring import pause  # noqa: PLC0415

        pause(self, reason, paused_by)

    def resume(self) -> None:
        """Resume it: the next run is the next one from now; see `resume_recurring`."""
        from django_future.scheduling.recurring import resume  # noqa: PLC0415

        resume(self)

    def trigger(self) -> "ScheduledJob":
        """Schedule one more run now, also while it is paused; see `trigger_recurring`."""
        from django_future.scheduling.recurring import trigger  # noqa: PLC0415

        return trigger(self)

    def backfill(self, start: "When", end: "When") -> "list[ScheduledJob]":
        """Schedule a run for each instant from `start` to `end` that has none; return the jobs.

        Both bounds are inclusive. At most 1,000 runs at a time.

        Raises `InvalidTime`, also if `end` is in the future.
        """
        from django_future.scheduling.recurring import backfill  # noqa: PLC0415

        return backfill(self, start, end)

    def upcoming(self, n: int, after: "When | None" = None) -> list[datetime]:
        """Return the next `n` instants after `after`, or after now, in its time zone.

        They do not include the jitter, and it does not matter whether it is paused.
        """
        from django_future.scheduling.recurring import upcoming  # noqa: PLC0415

        return upcoming(self, n, after)

    def previous(self, n: int, before: "When | None" = None) -> list[datetime]:
        """Return the last `n` instants before `before`, or before now, the latest one first."""
        from django_future.scheduling.recurring import previous  # noqa: PLC0415

        return previous(self, n, before)

    def describe(self) -> str:
        """Return its rhythm in words, such as "At 09:00, Monday to Friday, Europe/Berlin"."""
        return self.timing.describe()

    def _check_signature(self) -> None:
        columns = self.__dict__
        is_whole = all(name in columns for name in (*signatures.SIGNED, "signature"))
        self.is_signed = is_whole and signatures.is_valid(columns)
