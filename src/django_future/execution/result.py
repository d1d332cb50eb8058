"""The text that is stored of what a handler returned."""

from typing import Any

from django_future.serialization import Stored, encode, holds_secret
from django_future.text import MAX_RESULT_BYTES, shortened, storable


def result_text(result: Any, callable_name: str) -> Stored:
    """Return the text that is kept of what a handler returned.

    Whatever it is, a result is no reason to undo the work: one that cannot be stored is kept as
    its `repr()`, and one that is too large as a text that says so.
    """
    try:
        text = encode(result, ("return_value", callable_name))
    except Exception:  # noqa: BLE001 - of the classes of others
        text = encode(shortened(_representation(result)))
    if holds_secret(text):
        text = encode(f"A {type(result).__name__} that holds SECRET_KEY, which is not kept.")
    if len(text) > MAX_RESULT_BYTES:
        text = encode(
            f"A {type(result).__name__} that takes {len(text):,} bytes. A result of more than "
            f"{MAX_RESULT_BYTES:,} is not kept."
        )
    return text


def _representation(result: Any) -> str:
    try:
        return storable(repr(result))
    except Exception as error:  # noqa: BLE001 - of the classes of others
        return f"A {type(result).__name__} whose repr() raised {type(error).__name__}."
