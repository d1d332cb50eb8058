"""The sessions of a worker, as the server knows them, and as they are kept on its row."""

from typing import Any, NamedTuple

from django_future.models import Worker

MAX_NUMBER = 2**63 - 1


class SessionId(NamedTuple):
    """A session for good: servers use a `number` again, but not one of the same `origin`.

    The origin is a text of the database's own, such as when the session began.
    """

    number: int
    origin: str


def as_stored(sessions: list[SessionId]) -> list[list[Any]]:
    """Return sessions in the form in which a worker's row keeps them."""
    return [list(session) for session in sessions]


def read_sessions(worker: Worker) -> list[SessionId]:
    """Return the sessions on a worker's row; none that another version may have written.

    Raises whatever the stored value raises when it is read.
    """
    stored = worker.sessions
    if not isinstance(stored, list):
        return []
    return [SessionId(*each) for each in stored if _is_session(each)]


def _is_session(stored: Any) -> bool:
    if not isinstance(stored, list) or len(stored) != len(SessionId._fields):
        return False
    number, origin = stored
    return type(number) is int and 0 < number <= MAX_NUMBER and isinstance(origin, str)
