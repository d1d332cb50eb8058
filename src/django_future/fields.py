"""A model field that holds any Python value as text, and reads it only when asked."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.db import models
from django.db.models.query_utils import DeferredAttribute

from django_future.arguments import Stored, decode, encode


def unread(instance: models.Model, name: str) -> Any:
    """Return the stored field `name` of `instance`: as text, unless somebody has read it."""
    if name not in instance.__dict__:
        instance.refresh_from_db(fields=[name])
    return instance.__dict__[name]


@contextmanager
def left_unread() -> Iterator[None]:
    """Let stored fields be copied from one instance to another without being read."""
    token = _is_left_unread.set(True)
    try:
        yield
    finally:
        _is_left_unread.reset(token)


_is_left_unread = ContextVar("is_left_unread", default=False)


class _StoredValue(DeferredAttribute):
    """Decode on first use: a row with a value that cannot be read still loads and lists."""

    def __get__(self, instance: Any, cls: Any = None) -> Any:
        value = super().__get__(instance, cls)
        if isinstance(value, Stored) and not _is_left_unread.get():
            value = instance.__dict__[self.field.attname] = decode(value)
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
        return unread(obj, self.attname)

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:  # noqa: ARG002, FBT001
        """Store unread text as it is."""
        return self.value_from_object(model_instance)

    def value_to_string(self, obj: models.Model) -> str:
        """Return the text for a fixture."""
        return self.get_prep_value(self.value_from_object(obj)) or ""
