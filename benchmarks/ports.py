"""Ports on the loopback interface, for the servers of the benchmarks."""

import socket
import time

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
    deadline = time.monotonic() + MAX_WAIT_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
