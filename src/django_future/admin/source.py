"""Stored values as Python source. No function here loads a pickle or runs a query."""

import json
import math
from typing import Any

from django.apps import apps

from django_future.exceptions import FutureError
from django_future.serialization import TAG, decode

UNKNOWN = "..."  # stands for a value that the source cannot show
_SEQUENCES = {"tuple": "({})", "set": "{{{}}}", "frozenset": "frozenset({{{}}})"}
_ERRORS = (FutureError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


def source_of(plain: Any) -> str:
    """Return the source of a value, from the JSON that stores it.

    `UNKNOWN` is in the place of pickles and of damaged values. An object of a model is a query.
    """
    try:
        return _source(plain)
    except (*_ERRORS, RecursionError):
        return UNKNOWN


def query_for(label: str, pk: str, using: str | None = None) -> str:
    """Return the source of the query for one object.

    Raises `LookupError` if the model is not installed.
    """
    model = apps.get_model(label)
    database = f".using({using!r})" if using else ""
    return f"{model.__name__}.{model._default_manager.name}{database}.get(pk={pk})"


def _source(plain: Any) -> str:
    if isinstance(plain, list):
        return f"[{', '.join(map(_source, plain))}]"
    if isinstance(plain, dict):
        return _tagged(plain) if TAG in plain else _dictionary(plain.items())
    if isinstance(plain, float) and not math.isfinite(plain):
        return f"float({str(plain)!r})"
    return repr(plain)


def _tagged(plain: dict[str, Any]) -> str:
    tag = plain[TAG]
    if tag == "pickle":
        return UNKNOWN
    if tag == "model":
        return query_for(plain["model"], _source(plain["pk"]), plain["using"])
    if tag == "dict":
        return _dictionary(plain["value"])
    if tag in _SEQUENCES:
        return _sequence(tag, [_source(item) for item in plain["value"]])
    value = decode(json.dumps(plain))
    return f"float({plain['value']!r})" if isinstance(value, float) else repr(value)


def _sequence(tag: str, items: list[str]) -> str:
    if not items:
        return f"{tag}()"
    comma = "," if tag == "tuple" and len(items) == 1 else ""
    return _SEQUENCES[tag].format(", ".join(items) + comma)


def _dictionary(items: Any) -> str:
    return f"{{{', '.join(f'{_source(key)}: {_source(value)}' for key, value in items)}}}"
