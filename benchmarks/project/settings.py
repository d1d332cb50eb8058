"""The settings of the benchmark project: Django's defaults, and the database in DATABASE_URL."""

import os
from urllib.parse import unquote, urlsplit

ENGINES = {"postgresql": "postgresql", "mysql": "mysql", "sqlite": "sqlite3"}

url = urlsplit(os.environ["DATABASE_URL"])
if url.scheme == "mysql":
    import pymysql

    pymysql.install_as_MySQLdb()

DATABASES = {
    "default": {
        "ENGINE": f"django.db.backends.{ENGINES[url.scheme]}",
        "NAME": url.path if url.scheme == "sqlite" else url.path.lstrip("/"),
        "HOST": url.hostname or "",
        "PORT": url.port or "",
        "USER": unquote(url.username or ""),
        "PASSWORD": unquote(url.password or ""),
    }
}
if url.scheme == "sqlite":
    pragmas = "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL"
    DATABASES["default"]["OPTIONS"] = {"init_command": pragmas}

# A peer with Django's Tasks API is another installed app, and gets persistent connections.
backend = os.environ.get("TASKS_BACKEND", "django_future.backend.FutureBackend")
TASKS = {"default": {"BACKEND": backend}}
peer = backend.partition(".")[0]
if peer != "django_future":
    DATABASES["default"]["CONN_MAX_AGE"] = None

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django_future",
    "benchmarks.project",
    *([peer] if peer != "django_future" else []),
]
SECRET_KEY = "only for the benchmarks"
USE_TZ = True
