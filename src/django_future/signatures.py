"""The signature of a row. It proves that code of the project wrote what the job calls.

It is an HMAC-SHA-256, truncated to 132 bits. Its key is derived from `SECRET_KEY`.
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

# The columns that say what a job calls. Its times and counters are not signed, because they change
# while it waits. The content type is signed by its id, which is all that the row stores of it.
SIGNED = (
    "callable_name", "args", "kwargs", "options", "content_type_id", "object_id", "object_database",
    "task_backend",
)  # fmt: skip
LENGTH = 22  # characters of base64, 6 bits each
SALT = b"django_future.signatures"
_BLOCK_BYTES = 64  # of SHA-256, for HMAC
_INNER_PAD, _OUTER_PAD = 0x36, 0x5C

_values_of = itemgetter(*SIGNED)


def sign(columns: Mapping[str, Any]) -> str:
    """Return the signature of the `SIGNED` columns, whose values are those of the row."""
    return _signers()[0](_values_of(columns))


def is_valid(columns: Mapping[str, Any]) -> bool:
    """Return whether the `signature` in `columns` is valid for the `SIGNED` ones."""
    signature, values, signers = columns["signature"], _values_of(columns), _signers()
    try:
        if compare_digest(signers[0](values), signature):
            return True
        return any(compare_digest(signer(values), signature) for signer in signers[1:])
    except TypeError:  # the stored signature is not ASCII text
        return False


def check(columns: Mapping[str, Any]) -> None:
    """Raise `NotSigned` unless the signature in `columns` is valid."""
    if not is_valid(columns):
        raise signature_error(columns)


def signature_error(columns: Mapping[str, Any]) -> NotSigned:
    """Return the error for a row whose signature is not valid."""
    reason = (
        "The signature is not valid: SQL changed the row, or another SECRET_KEY signed it."
        if columns["signature"]
        else "The row has no signature: code of this project did not write it."
    )
    return NotSigned(f"{reason} If you trust what it calls, sign it with future_sign.")


@cache
def _signers() -> list[Callable[[tuple[Any, ...]], str]]:
    return [_signer(key) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)]


def _signer(secret_key: str | bytes) -> Callable[[tuple[Any, ...]], str]:
    # HMAC as RFC 2104 defines it. The two hashes are initialized once for each key, because the
    # `hmac` module takes twice as long for a short message.
    key = sha256(SALT + force_bytes(secret_key)).digest().ljust(_BLOCK_BYTES, b"\0")
    begin_inner = sha256(bytes(byte ^ _INNER_PAD for byte in key)).copy
    begin_outer = sha256(bytes(byte ^ _OUTER_PAD for byte in key)).copy

    def signature(values: tuple[Any, ...]) -> str:
        inner, outer = begin_inner(), begin_outer()
        # A tuple literal shows the boundaries and the types of its values, so different tuples have
        # different texts.
        inner.update(ascii(values).encode())
        outer.update(inner.digest())
        return b2a_base64(outer.digest())[:LENGTH].decode()

    return signature


@receiver(setting_changed)
def _forget(*, setting: str, **_: Any) -> None:
    if setting in {"SECRET_KEY", "SECRET_KEY_FALLBACKS"}:
        _signers.cache_clear()
