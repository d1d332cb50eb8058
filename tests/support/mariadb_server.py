"""A temporary MariaDB server that a test can restart."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from tests.support.waiting import eventually

PROGRAMS = ("mariadb-admin", "mariadbd", "mariadb-install-db")


def is_installed() -> bool:
    """Return whether the programs of the server are installed."""
    return all(shutil.which(program) for program in PROGRAMS)


class Server:
    """A server with its data and its socket in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._data = str(folder / "data")
        self.socket = str(folder / "socket")
        # As root, the server refuses to start without --user.
        self._user = ["--user=mysql"] if os.geteuid() == 0 else []
        if self._user:
            shutil.chown(folder, "mysql")
        subprocess.run(
            ["mariadb-install-db", "--no-defaults", f"--datadir={self._data}", "--skip-test-db",
             "--auth-root-authentication-method=normal", *self._user],
            check=True, capture_output=True,
        )  # fmt: skip
        self.start()

    @property
    def url(self) -> str:
        """Return the address of the server."""
        return f"mysql://root@{quote(self.socket, safe='')}/"

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        self._process = subprocess.Popen(
            ["mariadbd", "--no-defaults", f"--datadir={self._data}", f"--socket={self.socket}",
             "--skip-networking", "--innodb-buffer-pool-size=16M", *self._user],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        eventually(self._answers)

    def kill(self) -> None:
        """Kill the server, as a crash does."""
        self._process.kill()
        self._process.wait()

    def _answers(self) -> bool:
        ping = ["mariadb-admin", "--no-defaults", f"--socket={self.socket}", "-uroot", "ping"]
        return not subprocess.run(ping, capture_output=True, check=False).returncode


@contextmanager
def temporary_mariadb() -> Iterator[Server]:
    """Run a server inside the block."""
    with tempfile.TemporaryDirectory(prefix="future-mariadb-", ignore_cleanup_errors=True) as name:
        server = Server(Path(name))
        try:
            yield server
        finally:
            server.kill()
