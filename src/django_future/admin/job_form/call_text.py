"""The arguments of a call as a text: `order_id=70, cents=1999`, or a JSON object."""

import ast
import datetime
import json
import zoneinfo
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _

from django_future.serialization import TAG

MAX_TEXT_LENGTH = 100_000  # characters; Python needs hundreds of bytes to parse each
_CONSTANTS = {
    "true": True, "false": False, "null": None, "UTC": datetime.UTC,
    "datetime.UTC": datetime.UTC, "timezone.utc": datetime.UTC,
    "datetime.timezone.utc": datetime.UTC,
}  # fmt: skip
_DATETIME_TYPES = (
    datetime.date, datetime.datetime, datetime.time, datetime.timedelta, datetime.timezone
)  # fmt: skip
# The types that jobs store without a pickle.
_TYPES: dict[str, Callable[..., Any]] = {
    **{kind.__name__: kind for kind in _DATETIME_TYPES},
    **{f"datetime.{kind.__name__}": kind for kind in _DATETIME_TYPES},
    "zoneinfo.ZoneInfo": zoneinfo.ZoneInfo,
    "ZoneInfo": zoneinfo.ZoneInfo,
    "Decimal": Decimal,
    "UUID": UUID,
    "float": float,
    "set": set,
    "frozenset": frozenset,
    "tuple": tuple,
}
_ERRORS = (ArithmeticError, LookupError, OSError, TypeError, ValueError)


class NotACall(ValueError):
    """The text is not a list of arguments. The message names the argument, and quotes no value."""


def read_call(text: str) -> tuple[list[Any], dict[str, Any]]:
    """Return the positional and the keyword arguments of a text.

    The text is a JSON object, or what stands between the parentheses of a call in Python: literals,
    and calls of the types that a job can store. No other name is looked up.

    Raises `NotACall`.
    """
    if len(text) > MAX_TEXT_LENGTH:
        raise NotACall(
            _("The text has %(length)s characters, and the limit is %(limit)s.")
            % {"length": len(text), "limit": MAX_TEXT_LENGTH}
        )
    named = _json_object(text)
    if named is not None:
        for name, value in named.items():
            _refuse_tags(name, value)
        return [], named
    return _python_arguments(text)


def _json_object(text: str) -> dict[str, Any] | None:
    if not text.strip().startswith("{"):
        return None
    try:
        found = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _python_arguments(text: str) -> tuple[list[Any], dict[str, Any]]:
    try:
        call = ast.parse(f"_(\n{text}\n)", mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise NotACall(_not_arguments()) from error
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        raise NotACall(_not_arguments())
    numbered = enumerate(call.args, 1)
    args = [_read(_("number %(number)s") % {"number": place}, node) for place, node in numbered]
    kwargs: dict[str, Any] = {}
    for keyword in call.keywords:
        if keyword.arg is None or keyword.arg in kwargs:
            raise NotACall(_not_arguments())
        kwargs[keyword.arg] = _read(keyword.arg, keyword.value)
    return args, kwargs


def _not_arguments() -> str:
    return _("Give arguments such as order_id=70, cents=1999, or a JSON object.")


def _read(name: str, node: ast.expr) -> Any:
    try:
        value = _value(node)
    except (*_ERRORS, RecursionError) as error:
        reason = str(error) if isinstance(error, NotACall) else ""
        reason = reason or _("This is not a literal, such as 70, 'text', [1, 2] or None.")
        raise NotACall(
            _("Argument %(name)s: %(reason)s") % {"name": name, "reason": reason}
        ) from error
    _refuse_tags(name, value)
    return value


def _value(node: ast.expr) -> Any:
    match node:
        case ast.List(elts=items):
            return [_value(item) for item in items]
        case ast.Tuple(elts=items):
            return tuple(_value(item) for item in items)
        case ast.Set(elts=items):
            return {_value(item) for item in items}
        case ast.Dict(keys=keys, values=values):
            return {_value(_given(key)): _value(v) for key, v in zip(keys, values, strict=True)}
        case ast.Call(func=function, args=args, keywords=keywords):
            return _typed(function, args, keywords)
    return _scalar(node)


def _scalar(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=value) if value is ...:
            raise NotACall(_("Enter the value in place of the three dots."))
        case ast.Constant(value=value) if not isinstance(value, complex):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
            return -number
        case ast.Name() | ast.Attribute():
            return _CONSTANTS[ast.unparse(node)]
    raise TypeError


def _given(key: ast.expr | None) -> ast.expr:
    if key is None:  # **mapping
        raise TypeError
    return key


def _typed(function: ast.expr, args: list[ast.expr], keywords: list[ast.keyword]) -> Any:
    if not isinstance(function, ast.Name | ast.Attribute):
        raise TypeError
    kind = _TYPES[ast.unparse(function)]
    named = {str(keyword.arg): _value(keyword.value) for keyword in keywords}
    return kind(*[_value(item) for item in args], **named)


def _refuse_tags(name: str, value: Any) -> None:
    """Refuse a dictionary that looks like the stored form of a pickle or of an object."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            if TAG in item:
                reason = _("The key %(key)s is reserved.") % {"key": TAG}
                raise NotACall(
                    _("Argument %(name)s: %(reason)s") % {"name": name, "reason": reason}
                )
            pending.extend(item.values())
        elif isinstance(item, list | tuple):
            pending.extend(item)


def _refuse_constant(name: str) -> None:
    raise ValueError(name)  # NaN or Infinity, which are not JSON
