"""The addresses of a database server and of a proxy to it."""

from urllib.parse import unquote, urlsplit

PORTS = {"postgresql": 5432, "mysql": 3306}


def server_of(url: str) -> tuple[str, int] | str:
    """Return the host and port, or the path of the socket, of a DATABASE_URL."""
    parts = urlsplit(url)
    quoted, _, digits = parts.netloc.rpartition("@")[2].partition(":")
    host, port = unquote(quoted), int(digits or PORTS[parts.scheme])
    return f"{host}/.s.PGSQL.{port}" if host.startswith("/") else (host, port)


def through(port: int, url: str) -> dict[str, str]:
    """Return an environment that leads to the server through a local port."""
    parts = urlsplit(url)
    user = parts.netloc.rpartition("@")[0]
    # Without TLS, so that the proxy can recognise a commit.
    return {
        "DATABASE_URL": f"{parts.scheme}://{user}@127.0.0.1:{port}{parts.path}",
        "PGSSLMODE": "disable",
    }
