"""The groups and the notes as the page of failures shows them."""

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.utils import formats

from django_future.admin import display, times
from django_future.diagnosis import last_line
from django_future.store import Store, failure_notes
from django_future.store.failure_notes import NotedFailures
from django_future.store.failures import MAX_COMPLETE, MAX_GROUPS, FailureGroup, recently_complete
from django_future.store.failures import groups as failure_groups

MAX_NOTES = 50


def shown_groups(store: Store, list_url: str) -> dict[str, Any]:
    """Return what the template needs to show the open failures."""
    at = store.now()  # first, so that no job that fails later belongs to the groups
    found = failure_groups(store, MAX_GROUPS + 1)
    shown = found[:MAX_GROUPS]
    complete = recently_complete(store) if shown else {}
    total = sum(group.count for group in found)
    is_exact = all(group.is_exact for group in found) and len(found) == len(shown)
    return {
        "groups": [
            {
                **shown_group(group, at, list_url),
                "complete": number(complete.get(group.callable_name, 0)),
            }
            for group in shown
        ],
        "total": total,
        "total_shown": number(total, is_exact=is_exact),
        "is_cut": len(found) > len(shown),
        "max_groups": number(MAX_GROUPS),
        "last_id": max((group.last_id for group in shown), default=0),
        "shown_at": at.isoformat(),
        "max_complete": number(MAX_COMPLETE),
    }


def shown_group(group: FailureGroup, at: datetime, list_url: str) -> dict[str, Any]:
    """Return what a template needs to show one group."""
    query = {
        "status__exact": "failed",
        "callable_name": group.callable_name,
        "error_kind": group.error_kind,
        "failure_note__isnull": "True",
    }
    return {
        "callable_name": group.callable_name,
        "handler": display.dotted(group.callable_name),
        "error_kind": group.error_kind,
        "count": number(group.count, is_exact=group.is_exact),
        "counter": group.count,
        "first": times.relative(group.first_at, at),
        "last": times.relative(group.last_at, at),
        "last_id": group.last_id,
        "sample": last_line(group.error_end),
        "url": f"{list_url}?{urlencode(query)}",
    }


def shown_notes(store: Store, list_url: str) -> list[dict[str, Any]]:
    """Return what the template needs to show the notes, the newest first."""
    noted = failure_notes.latest(store, MAX_NOTES)
    return [_note(store, found, list_url) for found in noted if found.count or not found.is_exact]


def number(count: int, *, is_exact: bool = True) -> str:
    """Return a number in the user's format, with "+" if it is a lower bound."""
    return formats.number_format(count) + ("" if is_exact else "+")


def _note(store: Store, noted: NotedFailures, list_url: str) -> dict[str, Any]:
    note = noted.note
    query = {"status__exact": "failed", "failure_note": note.pk}
    return {
        "pk": note.pk,
        "author": note.author,
        "text": note.text,
        "at": times.relative(note.created_at, store.now()),
        "count": number(noted.count, is_exact=noted.is_exact),
        "url": f"{list_url}?{urlencode(query)}",
    }
