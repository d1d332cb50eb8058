"""The form of a recurring job. It refuses what `schedule_recurring` refuses."""

import json
import re
from datetime import datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from django_future import clock
from django_future.admin.display import MAX_VALUE_LENGTH
from django_future.admin.recurring.display import ARGUMENTS, is_hidden
from django_future.exceptions import (
    InvalidArguments,
    InvalidCallable,
    SchedulingError,
    TamperedArguments,
)
from django_future.models import RecurringJob
from django_future.models.fields import raw_value
from django_future.options import UNSET
from django_future.scheduling.recurring_columns import RunOptions, build_recurring
from django_future.serialization import TAG, Stored, plain_of, sign_pickles

_OTHER_COLUMNS = ("missed", "overlap", "queue_name", "priority")

# Read from left to right in any language.
_CODE = {"callable_name", "args", "kwargs", "cron", "timezone"}


def fixed_fields(recurring: RecurringJob) -> set[str]:
    """Return which of callable, arguments and keyword arguments the form of a row cannot edit.

    These are arguments that are sensitive, or that are not only JSON. Another callable could return
    them, so the callable is not edited either.
    """
    if is_hidden(recurring):
        return {"callable_name", *ARGUMENTS}
    kinds = zip(ARGUMENTS, (list, dict), strict=True)
    fixed = {name for name, kind in kinds if not _is_editable(raw_value(recurring, name), kind)}
    return fixed | {"callable_name"} if fixed else fixed


class ExactText(forms.CharField):
    """A text whose spaces at the beginning and the end are part of it."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**{**arguments, "strip": False})


class JsonText(forms.CharField):
    """A value of JSON's types, as text."""

    default_error_messages = {
        "required": _("Give [] or {} for no arguments."),
        "invalid": _("This is not JSON, such as [5, true] or {}."),
    }
    empty_values = [None, ""]  # not [] and {}

    def __init__(self, **arguments: Any) -> None:
        # With a hidden initial value, the browser would decide whether the arguments have changed.
        super().__init__(**{**arguments, "show_hidden_initial": False})

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        """Return the attributes of the text area."""
        return {**super().widget_attrs(widget), "rows": 3, "spellcheck": "false"}

    def prepare_value(self, value: Any) -> Any:
        """Return the text of a stored or default value, or the text that was entered."""
        if isinstance(value, str) and type(value) is not Stored:
            return value
        return _json(plain_of(value) if type(value) is Stored else value)

    def to_python(self, value: Any) -> Any:
        """Return the value of a text."""
        text: Any = super().to_python(value)
        if text in self.empty_values:
            return None
        try:
            return json.loads(text, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise ValidationError(self.error_messages["invalid"], code="invalid") from error

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Return whether the text stands for another value."""
        before = plain_of(initial) if isinstance(initial, str) else initial
        try:
            # As text, because True equals 1.
            return json.dumps(self.to_python(data)) != json.dumps(before)
        except (ValidationError, RecursionError):
            return True


class RecurringJobForm(forms.ModelForm):  # type: ignore[type-arg]
    """Creates or changes a recurring job. After validation, `wanted` is the row to write."""

    wanted: RecurringJob

    class Meta:
        field_classes = {
            "name": ExactText,
            "queue_name": ExactText,
            "args": JsonText,
            "kwargs": JsonText,
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # The label of a date and time belongs to neither of the two inputs, so each gets its own.
        texts = (_("%(label)s: date"), _("%(label)s: time"))
        for field in self.fields.values():
            for part, text in zip(getattr(field.widget, "widgets", ()), texts, strict=False):
                part.attrs["aria-label"] = text % {"label": capfirst(field.label)}
        for name in _CODE & self.fields.keys():
            self.fields[name].widget.attrs["dir"] = "ltr"

    def clean_name(self) -> str:
        """Refuse the name of another row, which `write` would change."""
        name: str = self.cleaned_data["name"]
        if RecurringJob.objects.filter(name=name).exists():
            raise ValidationError(_("A recurring job with this name exists already."))
        return name

    # The validators of the model are not called, because build_recurring() checks every value.
    def _post_clean(self) -> None:
        if self.errors:
            return
        try:
            self.wanted = self._changed_row() if self.instance.pk else self._new_row()
        except ValidationError as error:
            self.add_error(None, error)
        except SchedulingError as error:
            self.add_error(self._field_of(error), str(error))

    def _new_row(self) -> RecurringJob:
        given = self.cleaned_data
        call = {"args": given["args"], "kwargs": given["kwargs"]}
        row = build_recurring(given["name"], given["callable_name"], **call, **self._timing())
        self.instance = row
        return row

    def _changed_row(self) -> RecurringJob:
        """Build the row with the values of the form, and copy the others undecoded."""
        row: RecurringJob = self.instance
        # Saving it signs what it calls, so the user must see that.
        if not row.is_signed and is_hidden(row):
            raise ValidationError(
                _(
                    "The signature of this row is not valid, and its arguments are hidden. Call "
                    "schedule_recurring() again, which signs it."
                )
            )
        callable_name = self.cleaned_data.get("callable_name", row.callable_name)
        using: Any = {"using": row._state.db, "content_object": _content_object(row)}
        wanted = build_recurring(row.name, callable_name, **self._call(), **using, **self._timing())
        for name in ("options", *ARGUMENTS):
            if name not in self.changed_data:
                setattr(wanted, name, _copied(row, name, callable_name))
        return wanted

    def _call(self) -> dict[str, Any]:
        """Return arguments and options, with stand-ins for those that must not be decoded."""
        stored = raw_value(self.instance, "options")
        options = plain_of(stored) if _is_editable(stored, dict) else {}
        if options.keys() - RunOptions.__annotations__.keys():
            raise ValidationError(_("The stored options are damaged."))
        is_known = stored is None or options
        if not is_known or not self.fields.keys() >= set(ARGUMENTS):
            # A unique key would need the decoded arguments. Each run computes its own.
            options |= {"unique": False, "unique_replace": False}
        return {**self._arguments(), **options}

    def _arguments(self) -> dict[str, Any]:
        # Only the number and the names of stored arguments are checked, as for a copy of a job.
        plain = {name: plain_of(raw_value(self.instance, name)) for name in ARGUMENTS}
        is_known = isinstance(plain["args"], list) and isinstance(plain["kwargs"], dict)
        if not is_known or TAG in plain["kwargs"]:
            raise ValidationError(
                _(
                    "The stored arguments cannot be checked without loading them, or are damaged. "
                    "Call schedule_recurring() again."
                )
            )
        return {name: self.cleaned_data.get(name, plain[name]) for name in ARGUMENTS}

    def _timing(self) -> dict[str, Any]:
        given = self.cleaned_data
        return {
            **self._rhythm(),
            **{name: given[name] for name in _OTHER_COLUMNS},
            "catch_up_window": self._duration("catch_up_window"),
            "expires": given["expires"] or UNSET,
        }

    def _rhythm(self) -> dict[str, Any]:
        """Return what decides about the instants."""
        given = self.cleaned_data
        return {
            "cron": given["cron"] or None,
            "every": self._duration("every"),
            "timezone": given["timezone"],
            "starts_at": self._instant("starts_at"),
            "ends_at": self._instant("ends_at"),
            "max_runs": given["max_runs"],
            "jitter": self._duration("jitter"),
        }

    def _duration(self, name: str) -> Any:
        # As the user has written it, for the message.
        return None if self.cleaned_data[name] is None else self[name].data

    def _instant(self, name: str) -> datetime | None:
        value: datetime | None = self.cleaned_data[name]
        if name not in self.changed_data:  # the form has no microseconds
            value = getattr(self.instance, name)
        if value is None or value.tzinfo is not None:
            return value
        return value.replace(tzinfo=clock.current_zone())

    def _field_of(self, error: SchedulingError) -> str | None:
        """Return the field to which a message belongs; None if it is not in the form."""
        first_word = re.match(r"(\w+)(?=[ :])", str(error))
        name = first_word[0] if first_word else ""
        if name not in self.fields and not isinstance(error, TamperedArguments):
            kinds = [(InvalidCallable, "callable_name"), (InvalidArguments, "args")]
            name = next((field for kind, field in kinds if isinstance(error, kind)), "")
        return name if name in self.fields else None


def _is_editable(text: str | None, kind: type) -> bool:
    """Return whether a stored value is only JSON, and short enough for a form."""
    if text is None or len(text) > MAX_VALUE_LENGTH or TAG in text:
        return False
    return isinstance(plain_of(text), kind)


def _content_object(row: RecurringJob) -> Any:
    # A query, because the callable may be a method of the object.
    found = row.content_object
    if row.object_id is not None and found is None:
        raise ValidationError(
            _("The content object was deleted, so nothing can run. Delete this recurring job.")
        )
    return found


def _copied(row: RecurringJob, name: str, callable_name: str) -> Any:
    """Return a stored value for a row that calls `callable_name`. It signs pickles, if needed."""
    text = raw_value(row, name)
    if text is None or (row.is_signed and callable_name == row.callable_name):
        return text
    return sign_pickles(text, (name, row.callable_name), (name, callable_name))


def _refuse_constant(name: str) -> None:
    raise ValueError(name)  # NaN or Infinity, which are not JSON


def _json(value: Any) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False)
        text.encode()
    except (UnicodeEncodeError, RecursionError):
        return json.dumps(value)
    return text
