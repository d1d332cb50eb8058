"""The tasks that are coroutines, apart because a backend may refuse to define them."""

import asyncio
from typing import Any

from django_future.conformance.compat import AnyContext, task


class Refusal(Exception):
    """An error of these tasks."""


@task
async def echo(value: Any) -> Any:
    """Return the argument, after a switch to other coroutines."""
    await asyncio.sleep(0)
    return value


@task
async def fail() -> None:
    """Raise an error."""
    await asyncio.sleep(0)
    raise Refusal("refused")


@task(takes_context=True)
async def attempt(context: AnyContext) -> int:
    """Return the number of the attempt."""
    return context.attempt
