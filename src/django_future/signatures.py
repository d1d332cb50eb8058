"""The signature of a row: it shows that code wrote what the job will do, and no SQL did.

It is an HMAC-SHA-256 with a key that is made from `SECRET_KEY`, cut to 132 bits.
"""

from binascii import b2a_base64
from collections.abc import Callable, Mapping
from functools import cache
from hashlib import sha256
from hmac import compare_digest
from operator import itemgetter
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed
from django.dispatch import receiver
from django.utils.encoding import force_bytes

from django_future.exceptions import NotSigned

# What a job will do. When it does so, and how often, is not signed: that changes while it waits.
# Of the bound object it is the id of the content type, because the row holds no more than that.
SIGNED = (
    "callable_name", "args", "kwargs", "options", "content_type_id", "object_id", "object_database",
)  # fmt: skip
LENGTH = 22  # characters of base64, of 6 bits each
SALT = b"django_future.signatures"
_BLOCK_BYTES = 64  # of SHA-256, for HMAC
_INNER_PAD, _OUTER_PAD = 0x36, 0x5C

_values_of = itemgetter(*SIGNED)


def sign(columns: Mapping[str, Any]) -> str:
    """Return the signature for the `SIGNED` ones of `columns`, which are as the row holds them."""
    return _signers()[0](_values_of(columns))


def holds(columns: Mapping[str, Any]) -> bool:
    """Tell whether the `signature` among `columns` is one by this project for the `SIGNED` ones."""
    given, values, signers = columns["signature"], _values_of(columns), _signers()
    try:
        if compare_digest(signers[0](values), given):
            return True
        return any(compare_digest(signer(values), given) for signer in signers[1:])
    except TypeError:  # what SQL wrote is no ASCII text
        return False


def check(columns: Mapping[str, Any]) -> None:
    """Raise `NotSigned` unless the signature among `columns` holds."""
    if not holds(columns):
        raise not_signed(columns)


def not_signed(columns: Mapping[str, Any]) -> NotSigned:
    """Return the error of a row whose signature does not hold."""
    reason = (
        "The signature does not hold: SQL changed the row, or another SECRET_KEY signed it."
        if columns["signature"]
        else "The row has no signature: code of this project did not write it."
    )
    return NotSigned(f"{reason} If you vouch for what it calls, sign it with future_sign.")


@cache
def _signers() -> list[Callable[[tuple[Any, ...]], str]]:
    return [_signer(key) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)]


def _signer(secret_key: str | bytes) -> Callable[[tuple[Any, ...]], str]:
    # HMAC as RFC 2104 defines it, with the two hashes begun once for each key. The `hmac` module
    # takes twice as long for a short message.
    key = sha256(SALT + force_bytes(secret_key)).digest().ljust(_BLOCK_BYTES, b"\0")
    begin_inner = sha256(bytes(byte ^ _INNER_PAD for byte in key)).copy
    begin_outer = sha256(bytes(byte ^ _OUTER_PAD for byte in key)).copy

    def signature(values: tuple[Any, ...]) -> str:
        inner, outer = begin_inner(), begin_outer()
        # The literal of a tuple says of each value where it begins and ends, and of which type it
        # is, so no two tuples have the same.
        inner.update(ascii(values).encode())
        outer.update(inner.digest())
        return b2a_base64(outer.digest())[:LENGTH].decode()

    return signature


@receiver(setting_changed)
def _forget(*, setting: str, **_: Any) -> None:
    if setting in {"SECRET_KEY", "SECRET_KEY_FALLBACKS"}:
        _signers.cache_clear()
