"""The policies for missed and overlapping runs in the form, each choice with what it means."""

from typing import Any

from django.contrib import admin
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from django_future.models.recurring import Overlap
from django_future.recurrence.missed import Missed

RADIO_FIELDS: dict[str, Any] = {"missed": admin.VERTICAL, "overlap": admin.VERTICAL}
_EXPLANATIONS: dict[str, dict[Any, Any]] = {
    "missed": {
        Missed.ONCE: _("After a downtime, one run stands for all of them. The others are counted."),
        Missed.SKIP: _("They are only counted. The next run is the next one of the schedule."),
        Missed.ALL: _(
            "Each of them runs, the oldest first: the latest 1,000, and none that is older than "
            "the catch-up window."
        ),
    },
    "overlap": {
        Overlap.ALLOW: _("The run starts at its time. Several runs may be in progress at once."),
        Overlap.SKIP: _("The run does not happen, and is counted as skipped."),
        Overlap.QUEUE_ONE: _(
            "The run starts when the last one ends. Further ones are counted as skipped."
        ),
    },
}


def explained_choices(name: str) -> list[tuple[str, str]] | None:
    """Return the choices of a policy, each with an explanation; None for another field."""
    explanations = _EXPLANATIONS.get(name)
    if explanations is None:
        return None
    return [
        (choice.value, format_html("{}: {}", choice.label, text))
        for choice, text in explanations.items()
    ]
