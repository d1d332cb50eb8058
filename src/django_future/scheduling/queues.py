"""Pauses and resumes queues."""

import reprlib

from django_future.databases import jobs_database
from django_future.exceptions import InvalidOption
from django_future.models import PausedQueue
from django_future.options import validate_queue_name
from django_future.store import Store, queues, store_for
from django_future.text import storable

MAX_REASON_LENGTH = PausedQueue._meta.get_field("reason").max_length or 0


def pause_queue(name: str, *, reason: str = "", using: str | None = None) -> None:
    """Pause the queue `name`: its jobs wait until it is resumed, and running jobs go on.

    If the queue is paused already, replace its reason. The change is part of the open transaction.

    Raises `InvalidOption`.
    """
    validate_queue_name(name)
    queues.pause(_store(using), name, checked_reason(reason))


def resume_queue(name: str, *, using: str | None = None) -> None:
    """Resume the queue `name`, if it is paused. The change is part of the open transaction.

    Raises `InvalidOption`.
    """
    queues.resume(_store(using), validate_queue_name(name))


def checked_reason(reason: str) -> str:
    """Return the reason of a pause as a row can store it, or raise `InvalidOption`."""
    if not isinstance(reason, str) or len(reason := storable(reason)) > MAX_REASON_LENGTH:
        raise InvalidOption(
            f"reason is {reprlib.repr(reason)}. Give a text of at most {MAX_REASON_LENGTH} "
            "characters."
        )
    return reason


def _store(using: str | None) -> Store:
    return store_for(jobs_database(using))
