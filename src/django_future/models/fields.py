"""Model fields for times, durations, Python values as text, and signatures."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from django import forms
from django.core.exceptions import ValidationError
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.query_utils import DeferredAttribute

from django_future import clock, signatures
from django_future.exceptions import InvalidTime
from django_future.models.key_field import KeyField
from django_future.recurrence.timing import describe_duration
from django_future.serialization import Place, Stored, decode, encode
from django_future.when import MAX_DURATION, MAX_INSTANT, MIN_INSTANT, parse_duration

READABLE = {
    "postgresql": "{column} >= '{first} 00:00Z' AND {column} <= '{last} 00:00Z'",
    # SQLite compares texts, so the format must be right as well. SQLite normalizes a day that does
    # not exist, so the text then differs. The fraction is left out, because SQLite rounds it.
    "sqlite": (
        "{column} IS NULL OR typeof({column}) = 'text'"
        " AND ({column} GLOB '{form}' OR {column} GLOB '{form}.{microseconds}')"
        " AND datetime(substr({column}, 1, 19), '+0 days') IS substr({column}, 1, 19)"
        " AND {column} >= '{first}' AND {column} <= '{last} 00:00:00'"
    ),
    # Some modes of the server allow a month or a day of 0.
    "mysql": (
        "{column} >= '{first}' AND {column} <= '{last} 00:00:00'"
        " AND MONTH({column}) > 0 AND DAYOFMONTH({column}) > 0"
    ),
}

READABLE_SPAN = {
    "postgresql": "{column} BETWEEN INTERVAL '-{days} days' AND INTERVAL '{days} days'",
    "sqlite": (
        "{column} IS NULL OR typeof({column}) = 'integer'"
        " AND {column} BETWEEN -{microseconds} AND {microseconds}"
    ),
    "mysql": "{column} BETWEEN -{microseconds} AND {microseconds}",
}


class InstantField(models.DateTimeField):  # type: ignore[type-arg]
    """A point in time, stored in UTC.

    Without USE_TZ, the attribute is local time, as everywhere in Django. The column is in UTC,
    because local time is ambiguous in the hour that repeats when summer time ends.
    """

    def db_check(self, connection: BaseDatabaseWrapper) -> str | None:
        """Return the SQL condition for values that can be read as a datetime."""
        if connection.vendor not in READABLE or self.column is None:
            return None
        return READABLE[connection.vendor].format(
            column=connection.ops.quote_name(self.column),
            first=MIN_INSTANT.date(),
            last=MAX_INSTANT.date(),
            form="????-??-?? ??:??:??",
            microseconds="[0-9]" * 6,
        )

    def get_db_prep_value(
        self,
        value: Any,
        connection: BaseDatabaseWrapper,
        prepared: bool = False,  # noqa: FBT001, FBT002
    ) -> Any:
        """Return the time in UTC, for any time zone of the connection."""
        value = value if prepared else self.get_prep_value(value)
        if not isinstance(value, datetime):
            return super().get_db_prep_value(value, connection, prepared=True)
        return as_parameter(clock.from_row(value), connection)

    def from_db_value(
        self, value: datetime | None, _: object, connection: BaseDatabaseWrapper
    ) -> datetime | None:
        """Return an aware time, or local time without USE_TZ."""
        if value is None or connection.vendor == "postgresql":
            return value
        # Django has read it as a time in the time zone of the connection.
        return clock.to_row(value.replace(tzinfo=UTC))


class SpanField(models.DurationField):  # type: ignore[type-arg]
    """A duration, which forms show and read as text, such as 1h30m."""

    def db_check(self, connection: BaseDatabaseWrapper) -> str | None:
        """Return the SQL condition for values that can be read as a timedelta."""
        if connection.vendor not in READABLE_SPAN or self.column is None:
            return None
        return READABLE_SPAN[connection.vendor].format(
            column=connection.ops.quote_name(self.column),
            days=MAX_DURATION.days,
            microseconds=MAX_DURATION // timedelta.resolution,
        )

    def value_to_string(self, obj: models.Model) -> str:
        """Return the text for a fixture."""
        value = self.value_from_object(obj)
        return "" if value is None else describe_duration(value)

    def to_python(self, value: Any) -> timedelta | None:
        """Return the duration of a text such as 1h30m, or raise `ValidationError`."""
        if value is None or isinstance(value, timedelta):
            return value
        try:
            return parse_duration(value)
        except InvalidTime as error:
            raise ValidationError(str(error)) from error

    def formfield(self, **kwargs: Any) -> Any:
        """Return the field of a form."""
        return super().formfield(**{"form_class": SpanFormField, **kwargs})


class SpanFormField(forms.CharField):
    """A duration in a form, as text."""

    def prepare_value(self, value: Any) -> Any:
        """Return the text of a duration."""
        return describe_duration(value) if isinstance(value, timedelta) else value

    def to_python(self, value: Any) -> Any:
        """Return the duration of a text, or None for an empty one."""
        text = value.strip() if isinstance(value, str) else value
        return SpanField().to_python(text or None)

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Return whether the text stands for another duration."""
        try:
            return bool(self.to_python(data) != initial)
        except ValidationError:
            return True


def attribute(field: Any) -> Any:
    """Return `field`, with a type that lets a model annotate the value on its instances."""
    return field


def as_parameter(instant: datetime, connection: BaseDatabaseWrapper) -> Any:
    """Return the parameter for a time column in an SQL statement."""
    if connection.vendor == "postgresql":
        return instant
    return str(instant.astimezone(UTC).replace(tzinfo=None))


def from_statement(value: Any, connection: BaseDatabaseWrapper) -> datetime | None:
    """Return a time of a time column, as an SQL statement has returned it."""
    if value is None or connection.vendor == "postgresql":
        return clock.from_row(value) if value else None
    # In UTC, and on SQLite as text if it is the result of a subquery.
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return cast("datetime", moment.replace(tzinfo=UTC))


def raw_value(instance: models.Model, name: str) -> Any:
    """Return the value of a `StoredField`: as text, unless it has already been decoded."""
    if name not in instance.__dict__:
        instance.refresh_from_db(fields=[name])
    return instance.__dict__[name]


@contextmanager
def without_decoding() -> Iterator[None]:
    """Return the values of stored fields as text, so that they can be copied undecoded."""
    token = _is_decoding_off.set(True)
    try:
        yield
    finally:
        _is_decoding_off.reset(token)


_is_decoding_off = ContextVar("is_decoding_off", default=False)


def _place(field: Any, instance: Any) -> Place:
    return field.attname, getattr(instance, "callable_name", "")


class _StoredValue(DeferredAttribute):
    """Decodes on first access, so that a row with a broken value can still be loaded and listed."""

    def __get__(self, instance: Any, cls: Any = None) -> Any:
        loaded = {} if instance is None else instance.__dict__
        name = self.field.attname
        value = loaded[name] if name in loaded else super().__get__(instance, cls)
        if type(value) is Stored and not _is_decoding_off.get():
            value = loaded[name] = decode(value, _place(self.field, instance))
        return value

    def __set__(self, instance: Any, value: Any) -> None:
        instance.__dict__[self.field.attname] = value


class StoredField(models.TextField):  # type: ignore[type-arg]
    """A text column whose attribute is the decoded Python value."""

    # Any value, for django-stubs.
    _pyi_private_set_type: Any
    _pyi_private_get_type: Any
    descriptor_class = _StoredValue

    def from_db_value(self, value: str | None, *_: object) -> Stored | None:
        """Mark the text from the database as not decoded."""
        return None if value is None else Stored(value)

    def to_python(self, value: Any) -> Any:
        """Mark a string as stored text, because only fixtures are converted here."""
        return Stored(value) if isinstance(value, str) else value

    def clean(self, value: Any, model_instance: models.Model | None) -> Any:  # noqa: ARG002
        """Accept any value, because encoding refuses values that cannot be stored."""
        return value

    def get_prep_value(self, value: Any) -> str | None:
        """Return the text to store."""
        return None if value is None else str(value if isinstance(value, Stored) else encode(value))

    def value_from_object(self, obj: models.Model) -> Any:
        """Return the value of `obj`, as undecoded text if it came from the database."""
        return raw_value(obj, self.attname)

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:  # noqa: ARG002, FBT001
        """Return the text to store, and set it on the instance."""
        value = self.value_from_object(model_instance)
        if value is not None and type(value) is not Stored:
            # Encoded only once, because the signature signs this text, and another might differ.
            value = model_instance.__dict__[self.attname] = encode(
                value, _place(self, model_instance)
            )
        return value

    def value_to_string(self, obj: models.Model) -> str:
        """Return the text for a fixture."""
        return self.get_prep_value(self.value_from_object(obj)) or ""


class SignatureField(KeyField):
    """The signature for other columns of the row, which `save()` computes.

    If the signature of a loaded row is not valid, `save()` does not replace it. So an unrelated
    `save()` does not sign a call that SQL wrote.
    """

    def pre_save(self, model_instance: Any, add: bool) -> Any:  # noqa: ARG002, FBT001
        """Return the signature for the values to save."""
        if model_instance.is_signed:
            setattr(model_instance, self.attname, signatures.sign(signed_columns(model_instance)))
        return getattr(model_instance, self.attname)


def signed_columns(instance: models.Model) -> dict[str, Any]:
    """Return the columns that the signature signs, as the row of `instance` stores them."""
    fields: Iterable[Any] = map(instance._meta.get_field, signatures.SIGNED)
    return {field.attname: _column(field, instance) for field in fields}


def _column(field: Any, instance: models.Model) -> Any:
    value = field.pre_save(instance, add=False)
    return value if type(value) is Stored else field.get_prep_value(value)
