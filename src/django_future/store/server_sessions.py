"""The sessions of a worker: how the server identifies them, and how its row stores them."""

from typing import Any, NamedTuple

from django_future.models import Worker

MAX_NUMBER = 2**63 - 1


class SessionId(NamedTuple):
    """The identity of a session.

    A server reuses a `number`, but never with the same `origin`. The origin is a text that each
    database defines, such as the time when the session began.
    """

    number: int
    origin: str


def as_stored(sessions: list[SessionId]) -> list[list[Any]]:
    """Return sessions in the form that the row of a worker stores."""
    return [list(session) for session in sessions]


def read_sessions(worker: Worker) -> list[SessionId]:
    """Return the sessions that a worker's row stores, without those in an unknown format.

    Raises any error that decoding the stored value raises.
    """
    stored = worker.sessions
    if not isinstance(stored, list):
        return []
    return [SessionId(*session) for session in stored if _is_session(session)]


def _is_session(stored: Any) -> bool:
    if not isinstance(stored, list) or len(stored) != len(SessionId._fields):
        return False
    number, origin = stored
    return type(number) is int and 0 < number <= MAX_NUMBER and isinstance(origin, str)
