"""The settings of the flower shop: a Django project like any other, for the demo only."""

import os
from pathlib import Path

BASE_DIR = Path(__file__).parent.parent

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django_future",
    "shop",
]

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("DEMO_DATABASE", BASE_DIR / "demo.sqlite3"),
        # So that whoever reads does not keep a worker from writing.
        "OPTIONS": {"init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL"},
    }
}

# The demo tells in a table what happened, and one of its jobs is meant to fail.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"silence": {"class": "logging.NullHandler"}},
    "loggers": {"django_future": {"handlers": ["silence"], "propagate": False}},
}

DEBUG = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
ROOT_URLCONF = "florist.urls"
SECRET_KEY = "known to everybody, for it guards nothing but a demo"
STATIC_URL = "static/"
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
TIME_ZONE = "Europe/Berlin"
USE_TZ = True
