"""Settings of a run of the suite on one backend. DATABASE_URL selects the database."""

import os

import django

from tests.settings import database

APPS = {
    "future": ["django.contrib.contenttypes", "django_future"],
    "future-worker": ["django.contrib.contenttypes", "django_future"],
    "ox": ["django_ox"],
    "tasks-db": ["django_tasks_db"],
}

DATABASES = {"default": database("conformance")}
INSTALLED_APPS = APPS.get(os.environ["CONFORMANCE_BACKEND"], [])
INSTALLED_APPS += ["django_tasks"] if django.VERSION < (6, 0) else []
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SECRET_KEY = "only for the tests"
TIME_ZONE = "Europe/Berlin"
USE_TZ = os.environ.get("USE_TZ", "1") == "1"
