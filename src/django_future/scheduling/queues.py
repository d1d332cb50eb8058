"""Pauses and resumes queues."""

import reprlib

from django_future.databases import jobs_database
from django_future.exceptions import InvalidOption
from django_future.models import PausedQueue
from django_future.models.failures import MAX_AUTHOR_LENGTH
from django_future.options import validate_queue_name
from django_future.store import Store, queues, store_for
from django_future.text import storable

MAX_REASON_LENGTH = PausedQueue._meta.get_field("reason").max_length or 0


def pause_queue(
    name: str, *, reason: str = "", paused_by: str = "", using: str | None = None
) -> None:
    """Pause the queue `name`: its jobs wait until it is resumed, and running jobs go on.

    `paused_by` is the name of a person or program. If the queue is paused already, both texts are
    replaced, and `paused_at` stays the beginning of the pause. The change is part of the open
    transaction.

    Raises `InvalidOption`.
    """
    validate_queue_name(name)
    queues.pause(_store(using), name, checked_reason(reason), checked_author(paused_by))


def resume_queue(name: str, *, using: str | None = None) -> None:
    """Resume the queue `name`, if it is paused. The change is part of the open transaction.

    Raises `InvalidOption`.
    """
    queues.resume(_store(using), validate_queue_name(name))


def checked_reason(reason: str) -> str:
    """Return the reason of a pause as a row can store it, or raise `InvalidOption`."""
    return _checked_text("reason", reason, MAX_REASON_LENGTH)


def checked_author(paused_by: str) -> str:
    """Return who paused as a row can store it, or raise `InvalidOption`."""
    return _checked_text("paused_by", paused_by, MAX_AUTHOR_LENGTH)


def _checked_text(name: str, value: str, max_length: int) -> str:
    if not isinstance(value, str) or len(text := storable(value)) > max_length:
        raise InvalidOption(
            f"{name} is {reprlib.repr(value)}. Give a text of at most {max_length} characters."
        )
    return text


def _store(using: str | None) -> Store:
    return store_for(jobs_database(using))
