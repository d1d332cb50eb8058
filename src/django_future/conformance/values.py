"""Values to pass to tasks, and what they look like after a journey through JSON."""

import json
import math
import uuid
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import TextChoices


class Colour(TextChoices):
    """A text with a class of its own."""

    RED = "red"


TEXTS = ["", "plain", 'quotes " and \\ and /', "new\nline\ttab", "Zoë", "日本語", "👩‍🚀", "\u2028"]
WHOLE_NUMBERS = [0, 1, -1, 2**31, -(2**31) - 1, 2**53 + 1, 2**63 - 1]
LARGE_WHOLE_NUMBERS = [2**64, -(2**70), 10**40]
FLOATS = [0.1, -2.5, 0.0, 1.0, 1e-7, 3.141592653589793]
EXTREME_FLOATS = [-0.0, 1e22, 1e308, 5e-324, 1.7976931348623157e308]
NESTED = {"list": [1, [2.5, {"deep": [None, True, {"text": "ü"}]}], {}], "empty": [], "": {"": ""}}
ODD_KEYS = {1: "whole", 2.5: "float", False: "false", None: "null"}

NOT_JSON = {
    "datetime": datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
    "date": date(2026, 1, 2),
    "timedelta": timedelta(seconds=1),
    "Decimal": Decimal("1.5"),
    "UUID": uuid.UUID(int=1),
    "set": {1, 2},
    "complex": 1j,
    "object": object(),
    "function": math.sqrt,
    "class": Decimal,
    "exception": ValueError("text"),
    "in a list": [1, [Decimal("1.5")]],
    "in a dictionary": {"key": {"set": {1}}},
    "as a key": {(1, 2): "tuple"},
}


def deep(levels: int) -> Any:
    """Return lists and dictionaries within each other."""
    value: Any = "bottom"
    for level in range(levels):
        value = [value] if level % 2 else {"in": value}
    return value


def after_json(value: Any) -> Any:
    """Return `value` after `json.dumps` and `json.loads`."""
    return json.loads(json.dumps(value))


def portrait(value: Any) -> str:
    """Return a text that is equal for equal values of the same types, in any order of the keys."""
    if type(value) is dict:
        items = sorted(f"{portrait(key)}: {portrait(item)}" for key, item in value.items())
        return f"{{{', '.join(items)}}}"
    if type(value) is list:
        return f"[{', '.join(portrait(item) for item in value)}]"
    return f"{type(value).__name__} {value!r}"
