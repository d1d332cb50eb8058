"""Converts values to text and back, equal and of the same type.

Values of JSON's types are stored as JSON. Some other types are JSON with a tag:
`{"__type__": "date", "value": "2030-01-31"}`. All other values are pickled and signed with
`SECRET_KEY`. A pickle is loaded only if its signature is valid, for the column and the callable for
which it was signed.
"""

import io
import json
import math
import pickle
from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from functools import cache
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.apps import apps
from django.conf import settings
from django.core.exceptions import ObjectDoesNotExist
from django.core.signals import setting_changed
from django.core.signing import BadSignature, Signer
from django.db.models import Model
from django.dispatch import receiver
from django.utils.dateparse import parse_duration
from django.utils.duration import duration_iso_string
from django.utils.encoding import force_bytes

from django_future import remedies
from django_future.databases import saved_objects, stored_object_database
from django_future.exceptions import InvalidArguments, ObjectGone, TamperedArguments
from django_future.plural import counted

TAG = "__type__"
MIN_SECRET_BYTES = 16  # a shorter SECRET_KEY is no secret, and may be an ordinary word
MAX_JSON_INT_BITS = 64  # every JSON parser reads these
_PICKLE_ERRORS = (
    # The __reduce__, __setstate__ and constructors of a class can raise these.
    ArithmeticError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.PickleError,
)


# The column of a value, and the callable of its row.
Place = tuple[str, str]
NO_PLACE: Place = ("", "")


class Stored(str):
    """The text of a value, as a row stores it."""

    __slots__ = ()


EMPTY_DICT = Stored("{}")  # a shortcut, because most kwargs are empty


def encode(value: Any, place: Place = NO_PLACE) -> Stored:
    """Return the text that stores `value` in its place.

    Raises `InvalidArguments` if it can be neither tagged nor pickled.
    """
    if type(value) is dict and not value:
        return EMPTY_DICT
    try:
        return Stored(json.dumps(_to_plain(value, place)))
    except RecursionError:  # it contains itself, which only a pickle can store
        return Stored(json.dumps(_pickled(value, place)))


def decode(text: str, place: Place = NO_PLACE) -> Any:
    """Return the value that `text` stores in its place.

    Raises `TamperedArguments`, `InvalidArguments`, or `ObjectGone` for a model instance that was
    deleted.
    """
    if text == EMPTY_DICT:
        return {}
    try:
        plain = _parsed(text)
        return _from_plain(plain, place) if TAG in text else plain
    except InvalidArguments:
        raise
    except _PICKLE_ERRORS as error:
        # Do not quote the text or the error: the arguments may be sensitive.
        length, kind = counted(len(text), "character"), type(error).__name__
        raise InvalidArguments(f"A stored value of {length} is damaged ({kind}).") from error


_scan = json.JSONDecoder().scan_once  # type: ignore[attr-defined]


def _parsed(text: str) -> Any:
    # Faster than json.loads(), which also skips white space before and after. Stored text has none.
    try:
        plain, end = _scan(text, 0)
    except StopIteration:
        end = -1
    return plain if end == len(text) else json.loads(text)


def plain_of(text: str) -> Any:
    """Return the parsed JSON of a stored value, with its tags, or None if it is not JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def sign_pickles(text: Stored, old: Place, new: Place) -> Stored:
    """Return `text` with its pickles signed for another place, with the current `SECRET_KEY`.

    It loads no pickle. Raises `TamperedArguments` if the signature for the old place is not valid.
    """
    plain = plain_of(text) if TAG in text else None
    return text if plain is None else Stored(json.dumps(_with_signed_pickles(plain, old, new)))


def canonical(value: Any) -> str:
    """Return a text that is the same for equal values, independent of the order of their keys.

    It cannot be decoded. Raises `InvalidArguments` as `encode` does.
    """
    return _sorted(json.loads(encode(value), object_hook=_with_sorted_items))


def describe(text: str) -> str:
    """Return `text` in a form for people, without a query, and without loading a pickle."""
    try:
        return _described(json.loads(text))
    except (ValueError, KeyError, TypeError, RecursionError):
        return text


def _to_plain(value: Any, place: Place) -> Any:
    if _is_json(value):
        return value
    kind = type(value)
    if kind is list:
        return [_to_plain(item, place) for item in value]
    if kind is dict:
        return _plain_dict(value, place)
    if isinstance(value, Model):
        return _reference(value)
    if kind in _COLLECTIONS:
        items = [_to_plain(item, place) for item in value]
        plain: Any = items if kind is tuple else sorted(items, key=_sorted)
    else:
        plain = _CODECS[kind][0](value) if kind in _CODECS else None
    return _pickled(value, place) if plain is None else {TAG: kind.__name__, "value": plain}


def _is_json(value: Any) -> bool:
    kind = type(value)
    if kind is int:
        return bool(value.bit_length() <= MAX_JSON_INT_BITS)
    if kind is float:
        return math.isfinite(value)
    return value is None or kind in {bool, str}


def _from_plain(plain: Any, place: Place) -> Any:
    if isinstance(plain, list):
        return [_from_plain(item, place) for item in plain]
    if not isinstance(plain, dict):
        return plain
    if TAG in plain:
        return _untagged(plain, place)
    return {key: _from_plain(value, place) for key, value in plain.items()}


def _untagged(plain: dict[str, Any], place: Place) -> Any:
    tag = plain[TAG]
    if tag == "model":
        return _load_reference(**{key: plain[key] for key in ("model", "pk", "using")})
    if tag == "pickle":
        return _unpickled(plain["value"], place)
    if tag == "dict":
        return {_from_plain(key, place): _from_plain(value, place) for key, value in plain["value"]}
    if tag in _COLLECTIONS_BY_NAME:
        return _COLLECTIONS_BY_NAME[tag](_from_plain(item, place) for item in plain["value"])
    return _DECODERS[tag](plain["value"])


def _plain_dict(value: dict[Any, Any], place: Place) -> Any:
    if TAG not in value and all(type(key) is str for key in value):
        return {key: _to_plain(item, place) for key, item in value.items()}
    items = [[_to_plain(key, place), _to_plain(item, place)] for key, item in value.items()]
    return {TAG: "dict", "value": items}


def _reference(instance: Model) -> dict[str, Any]:
    if instance._state.adding or instance.pk is None:
        raise InvalidArguments(
            f"An argument of type {remedies.kind_of(instance)} is not saved, so a job could not "
            "load it. Save it first."
        )
    label, pk = instance._meta.label_lower, _to_plain(instance.pk, NO_PLACE)
    return {TAG: "model", "model": label, "pk": pk, "using": stored_object_database(instance)}


def _load_reference(model: str, pk: Any, using: str | None) -> Model:
    try:
        model_class: type[Model] = apps.get_model(model)
    except LookupError as error:
        raise ObjectGone(f"The model {model} of an argument is no longer installed.") from error
    try:
        found: Model = saved_objects(model_class, using).get(pk=_from_plain(pk, NO_PLACE))
    except ObjectDoesNotExist as error:
        raise ObjectGone(f"The argument {model} {_described(pk)} was deleted.") from error
    return found


def _pickled(value: Any, place: Place) -> dict[str, str]:
    data = io.BytesIO()
    try:
        _Pickler(data, protocol=5).dump(value)
        pickle.loads(data.getvalue())  # noqa: S301 - written on the line above
    except InvalidArguments:
        raise
    except _PICKLE_ERRORS as error:
        raise InvalidArguments(
            f"A value of type {remedies.kind_of(value)} cannot be pickled "
            f"({type(error).__name__}). Pass what the handler can create it from, such as a "
            "primary key or a path."
        ) from error
    if contains_secret_key(data.getvalue()):
        raise InvalidArguments(
            f"A value of type {remedies.kind_of(value)} contains SECRET_KEY, which must not be "
            "stored. Create the value in the handler."
        )
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    signed = _signer(place).sign(b64encode(data.getvalue()).decode())
    return {TAG: "pickle", "class": kind, "value": signed}


class _Pickler(pickle.Pickler):
    """Refuses values that do not work in another process, at any depth."""

    def reducer_override(self, value: Any) -> Any:
        remedy = remedies.for_argument(value)
        if remedy is not None:
            raise InvalidArguments(
                f"A value of type {remedies.kind_of(value)} cannot be an argument of a job. "
                f"{remedy}"
            )
        return NotImplemented


def _unpickled(signed: str, place: Place) -> Any:
    data = b64decode(_unsigned(signed, place))
    try:
        return pickle.loads(data)  # noqa: S301 - the signature was verified above
    except _PICKLE_ERRORS as error:
        raise InvalidArguments(
            f"A pickled value can no longer be loaded ({type(error).__name__})."
        ) from error


def _with_signed_pickles(plain: Any, old: Place, new: Place) -> Any:
    if isinstance(plain, list):
        return [_with_signed_pickles(item, old, new) for item in plain]
    if not isinstance(plain, dict):
        return plain
    if plain.get(TAG) == "pickle":
        return plain | {"value": _signer(new).sign(_unsigned(plain["value"], old))}
    return {key: _with_signed_pickles(item, old, new) for key, item in plain.items()}


def _unsigned(signed: str, place: Place) -> str:
    try:
        return _signer(place).unsign(signed)
    except BadSignature as error:
        raise TamperedArguments(
            "A pickled value was not loaded: it has no valid signature for this column and "
            "callable. If SECRET_KEY changed, add the old one to SECRET_KEY_FALLBACKS."
        ) from error


def _signer(place: Place) -> Signer:
    # The salt makes the signature invalid in another column, and for another callable.
    return Signer(salt=":".join(["django_future.serialization", *place]))


def contains_secret_key(stored: str | bytes) -> bool:
    """Return whether text or bytes contain `SECRET_KEY`, or one of its fallbacks."""
    data = stored.encode() if isinstance(stored, str) else stored
    return any(secret in data for secret in _secrets())


@cache
def _secrets() -> frozenset[bytes]:
    keys = [force_bytes(key) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)]
    keys = [key for key in keys if len(key) >= MIN_SECRET_BYTES]
    # JSON escapes some characters.
    escaped = [json.dumps(key.decode(errors="replace"))[1:-1].encode() for key in keys]
    return frozenset({*keys, *escaped})


@receiver(setting_changed)
def _forget(*, setting: str, **_: Any) -> None:
    if setting in {"SECRET_KEY", "SECRET_KEY_FALLBACKS"}:
        _secrets.cache_clear()


def _described(plain: Any) -> str:
    if isinstance(plain, list):
        return f"[{', '.join(map(_described, plain))}]"
    if not isinstance(plain, dict):
        return repr(plain)
    tag = plain.get(TAG)
    if tag is None:
        return f"{{{', '.join(f'{key!r}: {_described(item)}' for key, item in plain.items())}}}"
    if tag == "model":
        return f"<{plain['model']} {_described(plain['pk'])}>"
    if tag == "pickle":
        return f"<{plain['class']}, pickled>"
    return f"{tag}({_described(plain['value'])})"


def _with_sorted_items(plain: dict[str, Any]) -> dict[str, Any]:
    if plain.get(TAG) == "dict":
        plain["value"].sort(key=_sorted)
    return plain


def _sorted(plain: Any) -> str:
    return json.dumps(plain, sort_keys=True)


def _plain_datetime(value: datetime) -> dict[str, Any] | None:
    zone = value.tzinfo
    if not _is_plain_zone(zone) and not (isinstance(zone, ZoneInfo) and zone.key):
        return None
    plain: dict[str, Any] = {"at": value.isoformat(), "fold": value.fold}
    if isinstance(zone, ZoneInfo):
        plain |= {"at": value.replace(tzinfo=None).isoformat(), "zone": zone.key}
    return plain


def _datetime(plain: dict[str, Any]) -> datetime:
    value = datetime.fromisoformat(plain["at"]).replace(fold=plain["fold"])
    return value.replace(tzinfo=ZoneInfo(plain["zone"])) if "zone" in plain else value


def _plain_time(value: time) -> str | None:
    return value.isoformat() if _is_plain_zone(value.tzinfo) and not value.fold else None


def _is_plain_zone(zone: tzinfo | None) -> bool:
    """Return whether ISO 8601 can represent `zone` completely."""
    if type(zone) is timezone:
        offset = zone.utcoffset(None)
        # Python does not parse fractions of a second in an offset.
        return not offset.microseconds and repr(zone) == repr(timezone(offset))
    return zone is None


_CODECS: dict[type, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    # type: (converts to JSON, or to None if that would lose information; converts back)
    bytes: (lambda value: b64encode(value).decode(), lambda plain: b64decode(plain, validate=True)),
    date: (date.isoformat, date.fromisoformat),
    datetime: (_plain_datetime, _datetime),
    Decimal: (str, Decimal),
    float: (repr, float),
    int: (hex, lambda plain: int(plain, 16)),
    time: (_plain_time, time.fromisoformat),
    timedelta: (duration_iso_string, parse_duration),
    UUID: (str, UUID),
}
_DECODERS = {kind.__name__: from_plain for kind, (_, from_plain) in _CODECS.items()}
_COLLECTIONS: frozenset[type] = frozenset({tuple, set, frozenset})
_COLLECTIONS_BY_NAME: dict[str, Any] = {kind.__name__: kind for kind in _COLLECTIONS}
