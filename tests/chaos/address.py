"""Where a database server is, and how to reach it through a proxy."""

from urllib.parse import unquote, urlsplit

PORTS = {"postgresql": 5432, "mysql": 3306}


def server_of(url: str) -> tuple[str, int] | str:
    """Return the host and port, or the path of the socket, that a DATABASE_URL names."""
    parts = urlsplit(url)
    quoted, _, digits = parts.netloc.rpartition("@")[2].partition(":")
    host, port = unquote(quoted), int(digits or PORTS[parts.scheme])
    return f"{host}/.s.PGSQL.{port}" if host.startswith("/") else (host, port)


def through(port: int, url: str) -> dict[str, str]:
    """Return the environment in which the server is reached at a local port instead."""
    parts = urlsplit(url)
    user = parts.netloc.rpartition("@")[0]
    # In plain text, so that the proxy can tell a commit.
    return {
        "DATABASE_URL": f"{parts.scheme}://{user}@127.0.0.1:{port}{parts.path}",
        "PGSSLMODE": "disable",
    }
