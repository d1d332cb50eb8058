"""The model of a worker."""

from datetime import datetime
from typing import Any, ClassVar

from django.db import models
from django.utils.translation import gettext, pgettext
from django.utils.translation import gettext_lazy as _

from django_future.databases import RowsWithJobs
from django_future.models.fields import InstantField, StoredField, attribute, raw_value
from django_future.models.key_field import KeyField
from django_future.options import is_selected
from django_future.rows import TypedModel
from django_future.serialization import Stored, plain_of


class Worker(TypedModel):
    """A process that executes jobs, from its start to its end."""

    id: int
    name: str = attribute(KeyField(_("name"), max_length=100, unique=True))
    host: str = attribute(models.CharField(_("host"), max_length=255))
    pid: int = attribute(models.PositiveIntegerField(_("process id")))
    queues: Any = attribute(
        StoredField(
            _("queues"),
            default=dict,
            help_text=_("The queues that the worker serves, and those it excludes."),
        )
    )
    threads: int = attribute(models.PositiveIntegerField(_("threads"), default=0))
    version: str = attribute(models.CharField(_("version"), max_length=20, default=""))
    sessions: Any = attribute(
        StoredField(
            _("sessions"),
            default=list,
            help_text=_("Its database sessions, as the server identifies them."),
        )
    )
    started_at: datetime = attribute(InstantField(_("started at")))
    seen_at: datetime = attribute(InstantField(_("last seen at")))

    objects: "ClassVar[RowsWithJobs[Worker]]" = attribute(RowsWithJobs.as_manager())

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("worker")
        verbose_name_plural = _("workers")

    def __str__(self) -> str:
        return self.name

    def serves(self, queue_name: str) -> bool:
        """Return whether the worker claims jobs of this queue; False if its row is unreadable."""
        names = self.queue_names
        if names is None:
            return False
        return is_selected(queue_name, names["queues"], names["excluded_queues"])

    def describe_queues(self) -> str:
        """Return the queues that the worker serves as text."""
        names = self.queue_names
        if names is None:
            return pgettext("queues", "unknown")
        queues = ", ".join(map(str, names["queues"])) or pgettext("queues", "all")
        excluded = ", ".join(map(str, names["excluded_queues"]))
        if not excluded:
            return queues
        return gettext("%(queues)s but %(excluded)s") % {"queues": queues, "excluded": excluded}

    @property
    def queue_names(self) -> dict[str, list[str]] | None:
        """The `queues`, empty for all, and the `excluded_queues`; None in an unknown format.

        Another version, or SQL, may have written another format.
        """
        stored = raw_value(self, "queues")
        names = plain_of(stored) if isinstance(stored, Stored) else stored
        if not isinstance(names, dict):
            return None
        found = {key: names.get(key, []) for key in ("queues", "excluded_queues")}
        return found if all(isinstance(value, list) for value in found.values()) else None
