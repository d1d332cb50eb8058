"""Settings of the test project. DATABASE_URL selects the database, by default SQLite."""

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

ENGINES = {"postgresql": "postgresql", "mysql": "mysql", "sqlite": "sqlite3"}
SCRATCH = Path(os.environ.get("TEST_SCRATCH", Path(__file__).parent.parent / ".cache"))
SCRATCH.mkdir(exist_ok=True)

url = urlsplit(os.environ.get("DATABASE_URL", "sqlite:///"))
if url.scheme == "mysql":
    import pymysql

    pymysql.install_as_MySQLdb()


RUN = os.environ.setdefault("TEST_RUN", str(os.getpid()))  # the processes of a test inherit this


def database(name: str) -> dict[str, object]:
    """Return the settings of a database that only this test run uses."""
    name = f"test_{name}_{RUN}"
    settings: dict[str, object] = {
        "ENGINE": f"django.db.backends.{ENGINES[url.scheme]}",
        "NAME": name,
        "HOST": unquote(url.netloc.rpartition("@")[2].partition(":")[0]),
        "PORT": url.port or "",
        "USER": unquote(url.username or ""),
        "PASSWORD": unquote(url.password or ""),
        "TEST": {"NAME": name},
    }
    if url.scheme == "mysql":
        settings["TEST"] = {"NAME": name, "CHARSET": "utf8mb4"}
    if url.scheme == "sqlite":
        path = str(SCRATCH / f"{name}.sqlite3")
        pragmas = "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL"
        settings |= {"NAME": path, "TEST": {"NAME": path}, "OPTIONS": {"init_command": pragmas}}
    if "TEST_POOL_SIZE" in os.environ:
        settings["OPTIONS"] = {
            "pool": {"min_size": 1, "max_size": int(os.environ["TEST_POOL_SIZE"])}
        }
    return settings


DATABASES = {"default": database("future"), "other": database("future_other")}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django_future",
    "tests.shop",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
ROOT_URLCONF = "tests.urls"
SECRET_KEY = "only for the tests"
STATIC_URL = "static/"
TIME_ZONE = "Europe/Berlin"
USE_TZ = os.environ.get("USE_TZ", "1") == "1"
DJANGO_FUTURE = {"HEARTBEAT": os.environ.get("HEARTBEAT", "10s")}

# Django 6.1 warns about the mails of a project without it.
MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}
TASKS = {"default": {"BACKEND": "django_future.backend.FutureBackend"}}
