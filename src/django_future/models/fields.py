"""Model fields: an instant, an exact key, any Python value as text that is read only when asked."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, cast

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.query_utils import DeferredAttribute

from django_future import clock, signatures
from django_future.serialization import Place, Stored, decode, encode
from django_future.when import MAX_INSTANT, MIN_INSTANT

READABLE = {
    "postgresql": "{column} >= '{first} 00:00Z' AND {column} <= '{last} 00:00Z'",
    # SQLite compares texts, so the form must be right, too. A day that its month does not have is
    # found by the text that SQLite makes of it; without the fraction, which it would round.
    "sqlite": (
        "{column} IS NULL OR typeof({column}) = 'text'"
        " AND ({column} GLOB '{form}' OR {column} GLOB '{form}.{microseconds}')"
        " AND datetime(substr({column}, 1, 19), '+0 days') IS substr({column}, 1, 19)"
        " AND {column} >= '{first}' AND {column} <= '{last} 00:00:00'"
    ),
    # A month or a day of 0 may be written, depending on the mode of the server.
    "mysql": (
        "{column} >= '{first}' AND {column} <= '{last} 00:00:00'"
        " AND MONTH({column}) > 0 AND DAYOFMONTH({column}) > 0"
    ),
}


class InstantField(models.DateTimeField):  # type: ignore[type-arg]
    """A point in time.

    Without USE_TZ the attribute is local time, as everywhere in Django, but the column is in UTC:
    local time does not tell apart the two hours that one night of the year repeats.
    """

    def db_check(self, connection: BaseDatabaseWrapper) -> str | None:
        """Return the condition that a stored value can be read as a datetime."""
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
        """Return the instant in UTC, whatever the time zone of the connection is."""
        value = value if prepared else self.get_prep_value(value)
        if not isinstance(value, datetime):
            return super().get_db_prep_value(value, connection, prepared=True)
        return as_parameter(clock.from_row(value), connection)

    def from_db_value(
        self, value: datetime | None, _: object, connection: BaseDatabaseWrapper
    ) -> datetime | None:
        """Return the instant as Django does elsewhere: aware, or local without USE_TZ."""
        if value is None or connection.vendor == "postgresql":
            return value
        # Django has taken it for a time in the zone of the connection.
        return clock.to_row(value.replace(tzinfo=UTC))


class KeyField(models.CharField):  # type: ignore[type-arg]
    """A text that equals only itself.

    On MySQL and MariaDB a text equals others in another case, with accents, or with spaces at its
    end, unless the collation of its column says otherwise.
    """

    def db_parameters(self, connection: BaseDatabaseWrapper) -> Any:
        """Return how the column is made."""
        parameters = super().db_parameters(connection)
        if connection.vendor == "mysql":
            is_mariadb = cast("Any", connection).mysql_is_mariadb
            parameters["collation"] = "utf8mb4_nopad_bin" if is_mariadb else "utf8mb4_0900_bin"
        return parameters


def attribute(field: Any) -> Any:
    """Return `field`: its annotation in a model says what instances have, to any type checker."""
    return field


def as_parameter(instant: datetime, connection: BaseDatabaseWrapper) -> Any:
    """Return what a column of instants is compared with in a statement of our own."""
    if connection.vendor == "postgresql":
        return instant
    return str(instant.astimezone(UTC).replace(tzinfo=None))


def raw_value(instance: models.Model, name: str) -> Any:
    """Return the stored field `name` of `instance`: as text, unless somebody has read it."""
    if name not in instance.__dict__:
        instance.refresh_from_db(fields=[name])
    return instance.__dict__[name]


@contextmanager
def without_decoding() -> Iterator[None]:
    """Let stored fields be copied from one instance to another without being read."""
    token = _is_decoding_off.set(True)
    try:
        yield
    finally:
        _is_decoding_off.reset(token)


_is_decoding_off = ContextVar("is_decoding_off", default=False)


def _place(field: Any, instance: Any) -> Place:
    return field.attname, getattr(instance, "callable_name", "")


class _StoredValue(DeferredAttribute):
    """Decode on first use: a row with a value that cannot be read still loads and lists."""

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
    """A text column whose attribute is the Python value that the text stands for."""

    descriptor_class = _StoredValue

    def from_db_value(self, value: str | None, *_: object) -> Stored | None:
        """Mark what the database returned as text that nobody has read yet."""
        return None if value is None else Stored(value)

    def to_python(self, value: Any) -> Any:
        """Take a string for stored text: only fixtures come this way."""
        return Stored(value) if isinstance(value, str) else value

    def clean(self, value: Any, model_instance: models.Model | None) -> Any:  # noqa: ARG002
        """Accept any value: what cannot be stored is refused when it is encoded."""
        return value

    def get_prep_value(self, value: Any) -> str | None:
        """Return the text to store."""
        return None if value is None else str(value if isinstance(value, Stored) else encode(value))

    def value_from_object(self, obj: models.Model) -> Any:
        """Return the value of `obj`: as text, without reading it, if it came from the database."""
        return raw_value(obj, self.attname)

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:  # noqa: ARG002, FBT001
        """Return the text to store, and set it on the instance."""
        value = self.value_from_object(model_instance)
        if value is not None and type(value) is not Stored:
            # Encoded once: the signature is of this text, and another might differ from it.
            value = model_instance.__dict__[self.attname] = encode(
                value, _place(self, model_instance)
            )
        return value

    def value_to_string(self, obj: models.Model) -> str:
        """Return the text for a fixture."""
        return self.get_prep_value(self.value_from_object(obj)) or ""


class SignatureField(KeyField):
    """The signature for the other columns of the row, made anew when they are saved.

    That of a row which was loaded with another than its own stays as it is: what SQL wrote does not
    become code by an unrelated `save()`.
    """

    def pre_save(self, model_instance: Any, add: bool) -> Any:  # noqa: ARG002, FBT001
        """Return the signature for what is about to be saved."""
        if model_instance.is_signed:
            setattr(model_instance, self.attname, signatures.sign(signed_columns(model_instance)))
        return getattr(model_instance, self.attname)


def signed_columns(instance: models.Model) -> dict[str, Any]:
    """Return the columns that the signature is for, as the row of `instance` would hold them."""
    fields: Iterable[Any] = map(instance._meta.get_field, signatures.SIGNED)
    return {field.attname: _column(field, instance) for field in fields}


def _column(field: Any, instance: models.Model) -> Any:
    value = field.pre_save(instance, add=False)
    return value if type(value) is Stored else field.get_prep_value(value)
