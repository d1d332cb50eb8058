"""Checks whether a handler accepts the arguments of a job."""

import inspect
from collections.abc import Callable, Collection, Sequence
from functools import lru_cache
from inspect import Parameter, Signature
from types import FunctionType, MethodType
from typing import Any

from django_future.exceptions import InvalidArguments

MAX_CACHED_CALLS = 2048  # that differ in handler, number of arguments, or names

_PASS_THROUGH_KINDS = [Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD]


def check_arguments(
    name: str,
    handler: Callable[..., Any],
    leading: Sequence[str],
    args: Collection[Any],
    kwargs: Collection[str],
    *,
    is_partial: bool = False,
) -> None:
    """Raise `InvalidArguments` unless `handler` accepts a call with these arguments.

    `leading` describes the arguments before `args`. With `is_partial`, arguments may be missing.
    The message quotes no value. A callable without a signature accepts everything.
    """
    # The result depends only on the number of the arguments and on their names, so it is cached.
    count = len(leading) + len(args)
    # The cache holds the function of a bound method, and not its object.
    function: Any = handler.__func__ if isinstance(handler, MethodType) else handler
    compare = _mismatch if function.__hash__ else _mismatch.__wrapped__
    mismatch = compare(function, count + (function is not handler), tuple(kwargs), is_partial)
    if mismatch is not None:
        call = _describe_call(leading, args, kwargs)
        raise InvalidArguments(f"{name} {mismatch} The call passes {call}.")


def signature_of(handler: Callable[..., Any]) -> Signature | None:
    """Return the signature of `handler`, or None if it has none, as some built-ins.

    A wrapper with the parameters `*args, **kwargs` has the signature of the function that it wraps,
    unless it has a `__signature__`.
    """
    try:
        return _own_signature(inspect.unwrap(handler, stop=_is_explicit))
    except (NameError, TypeError, ValueError):  # an annotation can raise NameError
        return None


@lru_cache(maxsize=MAX_CACHED_CALLS)
def _mismatch(
    function: Callable[..., Any],
    count: int,
    names: tuple[str, ...],
    is_partial: bool,  # noqa: FBT001
) -> str | None:
    signature = signature_of(function)
    if signature is None:
        return None
    bind = signature.bind_partial if is_partial else signature.bind
    try:
        bind(*[None] * count, **dict.fromkeys(names))
    except TypeError as error:
        return (
            f"does not accept the arguments of this job: {error}. It takes "
            f"{_describe_signature(signature)}."
        )
    return None


def _is_explicit(function: Callable[..., Any]) -> bool:
    if hasattr(function, "__signature__"):
        return True
    if not isinstance(function, FunctionType):
        return False  # an object that wraps a function, such as a handler, passes everything on
    parameters = _own_signature(function).parameters.values()
    return [parameter.kind for parameter in parameters] != _PASS_THROUGH_KINDS


def _own_signature(function: Callable[..., Any]) -> Signature:
    return inspect.signature(function, follow_wrapped=False)


def _describe_signature(signature: Signature) -> str:
    names = [
        parameter.replace(
            annotation=Parameter.empty,
            default=parameter.default if parameter.default is Parameter.empty else ...,
        )
        for parameter in signature.parameters.values()
    ]
    shown = signature.replace(parameters=names, return_annotation=Signature.empty)
    return str(shown).replace("=Ellipsis", "=...")


def _describe_call(leading: Sequence[str], args: Collection[Any], kwargs: Collection[str]) -> str:
    parts = [*leading, f"{len(args)} in args"]
    if kwargs:
        parts.append(f"{', '.join(map(repr, kwargs))} in kwargs")
    return ", ".join(parts)
