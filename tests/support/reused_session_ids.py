"""A process whose server restarts while it waits: `python -m tests.support.reused_session_ids`.

It registers a lost worker with open sessions, waits for a line on stdin, and rescues. By then,
other connections have the ids of these sessions. It prints how many of them are still open.
"""

import sys

CONNECTIONS = 8


def main() -> None:
    """Record sessions, wait, and rescue."""
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection

    name = connection.settings_dict["NAME"]
    with connection._nodb_cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    call_command("migrate", verbosity=0)
    noted = [number for _ in range(CONNECTIONS) for number in note()]
    session = connection.connection
    print("noted", flush=True)
    sys.stdin.readline()
    connection.close()
    innocents = [connection.copy() for _ in range(2 * CONNECTIONS)]
    numbers = {number_of(innocent) for innocent in innocents}
    print(len(numbers & set(noted)), "reused", flush=True)
    rescue(session)
    print(sum(map(is_open, innocents)), "open", flush=True)


def note() -> list[int]:
    """Open a connection, add it to the sessions of a lost worker, and return its number."""
    from datetime import timedelta

    from django.db import connection, connections

    from django_future import clock
    from django_future.models import Worker
    from django_future.store import store_for
    from django_future.store.server_sessions import as_stored, read_sessions

    connections["default"] = connection.copy()
    session = store_for("default").session_id()
    assert session is not None
    long_ago = clock.now() - timedelta(days=1)
    times = {"started_at": long_ago, "seen_at": long_ago}
    worker, _ = Worker.objects.get_or_create(name="lost", pid=1, defaults=times)
    worker.sessions = as_stored([*read_sessions(worker), session])
    worker.save()
    return [session.number]


def rescue(session) -> None:
    """Rescue, and interrupt and kill a session of the server before its restart."""
    from django_future.store import store_for
    from django_future.worker import maintenance

    store = store_for("default")
    maintenance.rescue(store)
    store.interrupt(session)
    store.kill_session(session)


def number_of(other) -> int:
    """Return the thread id of a connection."""
    other.ensure_connection()
    return int(other.connection.thread_id())


def is_open(other) -> bool:
    """Return whether a connection still answers."""
    from django.db import OperationalError

    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT 1")
    except OperationalError:
        return False
    return True


if __name__ == "__main__":
    main()
