"""Ports on the loopback interface, for the servers of the benchmarks."""

import socket
import time
from collections.abc import Callable

MAX_WAIT_SECONDS = 30  # for a server to answer


def free_port() -> int:
    """Return an unused port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port: int) -> None:
    """Wait until a server listens on `port`.

    Raises `OSError` if none does in time.
    """
    wait_until_connected(
        lambda: socket.create_connection(("127.0.0.1", port), timeout=1).close(), OSError
    )


def wait_until_connected(connect: Callable[[], None], refusal: type[Exception]) -> None:
    """Call `connect` until it does not raise `refusal`.

    Raises the last refusal if the server does not accept a connection in time.
    """
    deadline = time.monotonic() + MAX_WAIT_SECONDS
    while True:
        try:
            connect()
        except refusal:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
