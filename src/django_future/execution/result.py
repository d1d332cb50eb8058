"""The stored text of the result of a handler."""

from typing import Any

from django_future.serialization import Stored, contains_secret_key, encode
from django_future.text import MAX_RESULT_BYTES, shortened, storable


def result_text(result: Any, callable_name: str) -> Stored:
    """Return the text to store for the result of a handler.

    A result never fails a job. If it cannot be encoded, its `repr()` is stored. If it is too large
    or contains `SECRET_KEY`, a text that says so is stored.
    """
    try:
        text = encode(result, ("return_value", callable_name))
    except Exception:  # noqa: BLE001 - raised by the class of the result
        text = encode(shortened(_representation(result)))
    if contains_secret_key(text):
        text = encode(f"A {type(result).__name__} that contains SECRET_KEY, so it is not stored.")
    if len(text) > MAX_RESULT_BYTES:
        text = encode(
            f"A {type(result).__name__} of {len(text):,} bytes. A result of more than "
            f"{MAX_RESULT_BYTES:,} bytes is not stored."
        )
    return text


def _representation(result: Any) -> str:
    try:
        return storable(repr(result))
    except Exception as error:  # noqa: BLE001 - raised by the class of the result
        return f"A {type(result).__name__} whose repr() raised {type(error).__name__}."
