"""The workers in the admin."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from django_future.admin import display
from django_future.admin.columns import column
from django_future.admin.read_only import ReadOnlyAdmin
from django_future.models import Worker


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin):
    """The workers that live, and when they last showed it."""

    list_display = [
        "name",
        "host",
        column(Worker, "pid", str),
        "queues",
        column(Worker, "running", str),
        column(Worker, "started_at", display.instant),
        column(Worker, "seen_at", display.instant),
    ]
    list_display_links = None
    ordering = ["name"]
    filters = frozenset({"name", "host"})

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        """Refuse everybody: the jobs of a worker without a row are taken from it."""
        return False
