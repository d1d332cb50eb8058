"""The encoding and decoding of arguments and return values."""

import array
import collections
import contextlib
import enum
import json
import math
import pickle
import threading
import uuid
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import User
from hypothesis import given
from hypothesis import strategies as st

from django_future.exceptions import InvalidArguments, ObjectGone, TamperedArguments
from django_future.serialization import Stored, decode, describe, encode
from tests.shop.models import ExpressOrder, Order, Parcel


class Colour(enum.IntEnum):
    RED = 1


class Basket:
    """A class with equality by content, which must be pickled."""

    def __init__(self, *items):
        self.items = items

    def __eq__(self, other):
        return type(other) is Basket and self.items == other.items

    def __hash__(self):
        return hash(self.items)


class Unpicklable:
    def __reduce__(self):
        raise RuntimeError("never")


class OneWay(Exception):
    """Can be pickled but not unpickled: its constructor requires two arguments."""

    def __init__(self, one, two):
        super().__init__(one)


def same(one, other):  # noqa: PLR0911
    """Return whether two values and their parts are equal, and have equal types."""
    if type(one) is not type(other):
        return False
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return list(one) == list(other) and all(map(same, one.values(), other.values()))
    if isinstance(one, set | frozenset):
        return one == other and {type(item) for item in one} == {type(item) for item in other}
    if isinstance(one, float):
        return repr(one) == repr(other)
    if isinstance(one, datetime):
        return (repr(one), one.fold) == (repr(other), other.fold)
    return one == other


durations = st.timedeltas()
zones = st.one_of(st.none(), st.just(UTC), st.timezones(), st.builds(
    timezone, st.timedeltas(timedelta(hours=-23), timedelta(hours=23))
))  # fmt: skip
leaves = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.binary(),
    st.dates(), st.times(), durations, st.datetimes(timezones=zones), st.uuids(),
    st.decimals(allow_nan=False), st.sampled_from(Colour), st.complex_numbers(allow_nan=False),
)  # fmt: skip
hashables = st.recursive(leaves, lambda inner: st.tuples(inner, inner), max_leaves=3)
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner),
        st.tuples(inner, inner),
        st.dictionaries(hashables, inner),
        st.dictionaries(st.text() | st.just("__type__"), inner),
        st.sets(hashables),
        st.frozensets(hashables),
    ),
    max_leaves=12,
)


@given(values)
def test_any_value_survives_encoding_and_decoding(value):
    assert same(decode(encode(value)), value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([1, "two", None, True, 2.5], '[1, "two", null, true, 2.5]'),
        ({"foo": "bar"}, '{"foo": "bar"}'),
        (date(2030, 1, 31), '{"__type__": "date", "value": "2030-01-31"}'),
        (Decimal("1.50"), '{"__type__": "Decimal", "value": "1.50"}'),
        ((1, 2), '{"__type__": "tuple", "value": [1, 2]}'),
        ({2, 1}, '{"__type__": "set", "value": [1, 2]}'),
        (timedelta(days=1), '{"__type__": "timedelta", "value": "P1DT00H00M00S"}'),
        ({1: 2}, '{"__type__": "dict", "value": [[1, 2]]}'),
    ],
)
def test_stored_values_are_readable(value, text):
    assert encode(value) == text


@pytest.mark.parametrize("value", [math.nan, Decimal("NaN")])
def test_nan_survives_encoding_and_decoding(value):
    assert str(decode(encode(value))) == str(value)


def test_encoded_text_is_ascii_json():
    text = encode([math.inf, -math.inf, 2**70, "\ud800", "\0"])
    assert "Infinity" not in text
    assert text.isascii()
    json.loads(text)


@pytest.mark.parametrize(
    "value",
    [
        Basket(1, 2),
        collections.OrderedDict(a=1),
        collections.Counter("abba"),
        Colour.RED,
        array.array("i", [1, 2]),
        range(3),
        datetime(2030, 1, 1, tzinfo=timezone(timedelta(hours=1), "CET")),
        time(1, 30, fold=1),
        time(1, 30, tzinfo=ZoneInfo("Europe/Berlin")),
        int,
    ],
)
def test_values_of_other_types_are_pickled(value):
    assert same(decode(encode(value)), value)
    assert "pickle" in encode(value)


def test_only_the_part_of_a_value_that_needs_it_is_pickled():
    text = encode({"basket": Basket(1), "n": 5})
    assert json.loads(text)["n"] == 5


def test_a_list_that_contains_itself_survives_encoding_and_decoding():
    value = [1]
    value.append(value)
    back = decode(encode(value))
    assert back[1] is back


@pytest.mark.parametrize("value", [lambda: None, Unpicklable(), OneWay(1, 2), threading.Lock()])
def test_a_value_that_cannot_be_pickled_is_refused(value):
    with pytest.raises(InvalidArguments, match="cannot be pickled"):
        encode([value])


@pytest.mark.django_db
@pytest.mark.parametrize("model", [Order, ExpressOrder])
def test_a_model_instance_is_stored_by_reference(model, order):
    instance = model.objects.get()
    Order.objects.update(number="B2")
    back = decode(encode((instance, 1)))[0]
    assert (type(back), back.pk, back.number) == (model, instance.pk, "B2")


@pytest.mark.django_db
def test_a_model_reference_keeps_a_primary_key_of_any_type():
    parcel = Parcel.objects.create()
    assert str(parcel.pk) in encode(parcel)
    assert decode(encode(parcel)) == parcel


@pytest.mark.django_db(databases=["default", "other"])
def test_a_model_reference_keeps_its_database():
    order = Order.objects.using("other").create(number="O1")
    assert decode(encode(order)).number == "O1"


@pytest.mark.django_db
def test_decoding_a_deleted_instance_raises_object_gone_with_its_name(order):
    text = encode(order)
    pk = order.pk
    order.delete()
    with pytest.raises(ObjectGone, match=rf"The argument shop\.order {pk} was deleted"):
        decode(text)


def test_an_unsaved_instance_is_refused_as_an_argument():
    with pytest.raises(InvalidArguments, match="Save it first"):
        encode([Parcel()])


def test_decoding_an_instance_of_a_removed_model_raises_object_gone():
    with pytest.raises(ObjectGone, match=r"shop\.cart"):
        decode('{"__type__": "model", "model": "shop.cart", "pk": 1, "using": "default"}')


def test_decoding_a_pickle_signed_with_another_key_is_refused(settings):
    text = encode(Basket(1))
    settings.SECRET_KEY = "another"
    with pytest.raises(TamperedArguments, match="SECRET_KEY_FALLBACKS"):
        decode(text)


def test_a_pickle_signed_with_a_fallback_key_is_decoded(settings):
    text = encode(Basket(1))
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another"
    assert decode(text) == Basket(1)


class Bomb:
    exploded = False

    def __setstate__(self, state):
        Bomb.exploded = True


def test_decoding_does_not_load_an_unsigned_pickle():
    import base64

    bomb = Bomb()
    bomb.fuse = 1
    value = base64.b64encode(pickle.dumps(bomb)).decode()
    for signed in (value, f"{value}:signature", f"{value}:"):
        with pytest.raises(TamperedArguments):
            decode(json.dumps({"__type__": "pickle", "class": "x", "value": signed}))
    assert not Bomb.exploded


@pytest.mark.parametrize(
    "text",
    ["", "{", "[1", '{"__type__": "unheard-of", "value": 1}', '{"__type__": "date"}',
     '{"__type__": "date", "value": "tomorrow"}', '{"__type__": "Decimal", "value": "x"}',
     '{"__type__": "datetime", "value": {"at": "2030-01-01", "fold": 0, "zone": "Moon/Base"}}',
     '{"__type__": "model"}', '{"__type__": ["date"], "value": 1}'],
)  # fmt: skip
def test_decoding_damaged_text_raises_invalid_arguments(text):
    with pytest.raises(InvalidArguments):
        decode(text)


@given(st.text())
def test_decoding_any_text_raises_nothing_but_invalid_arguments(text):
    with contextlib.suppress(InvalidArguments):
        decode(text)


@pytest.mark.django_db
def test_describing_stored_text_loads_no_objects(django_assert_num_queries):
    user = User.objects.create(username="ada")
    text = encode({"who": user, "what": Basket(1), "when": date(2030, 1, 31), "n": [1, "x"]})
    with django_assert_num_queries(0):
        described = describe(text)
    assert described == (
        f"{{'who': <auth.user {user.pk}>, 'what': <tests.test_serialization.Basket, pickled>, "
        "'when': date('2030-01-31'), 'n': [1, 'x']}"
    )


@pytest.mark.parametrize("text", ["", "{", '{"__type__": "model"}', '{"__type__": 1}'])
def test_text_that_cannot_be_decoded_is_described_as_stored(text):
    assert describe(text) == text


def test_encoded_text_has_a_type_of_its_own():
    assert isinstance(encode("x"), Stored)
    assert uuid.UUID(int=1) == decode(encode(uuid.UUID(int=1)))
