"""The parameters of a handler, and whether the arguments of a job fit them."""

import inspect
from collections.abc import Callable, Collection, Sequence
from functools import lru_cache
from inspect import Parameter, Signature
from types import FunctionType, MethodType
from typing import Any

from django_future.exceptions import InvalidArguments

MAX_SHAPES = 2048  # calls that differ in handler, number of arguments, or names, and are remembered

_ANYTHING = [Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD]


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

    `leading` names what is passed before `args`. With `is_partial` more arguments may follow. The
    message quotes no value. A callable without a signature accepts everything.
    """
    # Whether a call is accepted depends on the number of its arguments and on their names.
    count = len(leading) + len(args)
    # A method is remembered without its object.
    function: Any = handler.__func__ if isinstance(handler, MethodType) else handler
    compare = _complaint if function.__hash__ else _complaint.__wrapped__
    complaint = compare(function, count + (function is not handler), tuple(kwargs), is_partial)
    if complaint is not None:
        given = _given(leading, args, kwargs)
        raise InvalidArguments(f"{name} {complaint} It would be called with {given}.")


def signature_of(handler: Callable[..., Any]) -> Signature | None:
    """Return how `handler` is called; None if that is not known, as of some built-ins.

    A wrapper that takes `*args, **kwargs` is taken to pass all of them on, unless it says otherwise
    by its `__signature__`.
    """
    try:
        return _own_signature(inspect.unwrap(handler, stop=_is_explicit))
    except (NameError, TypeError, ValueError):  # a NameError comes of an annotation
        return None


@lru_cache(maxsize=MAX_SHAPES)
def _complaint(
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
        return f"does not accept the arguments of this job: {error}. It takes {_shown(signature)}."
    return None


def _is_explicit(function: Callable[..., Any]) -> bool:
    if hasattr(function, "__signature__"):
        return True
    if not isinstance(function, FunctionType):
        return False  # what is no function and wraps one, such as a handler, a cache, passes all on
    parameters = _own_signature(function).parameters.values()
    return [parameter.kind for parameter in parameters] != _ANYTHING


def _own_signature(function: Callable[..., Any]) -> Signature:
    return inspect.signature(function, follow_wrapped=False)


def _shown(signature: Signature) -> str:
    names = [
        parameter.replace(
            annotation=Parameter.empty,
            default=parameter.default if parameter.default is Parameter.empty else ...,
        )
        for parameter in signature.parameters.values()
    ]
    shown = signature.replace(parameters=names, return_annotation=Signature.empty)
    return str(shown).replace("=Ellipsis", "=...")


def _given(leading: Sequence[str], args: Collection[Any], kwargs: Collection[str]) -> str:
    given = [*leading, f"{len(args)} in args"]
    if kwargs:
        given.append(f"{', '.join(map(repr, kwargs))} in kwargs")
    return ", ".join(given)
