"""The admin of workers."""

from typing import Any

from django.contrib import admin
from django.contrib.admin import display as labelled
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from django_future.admin import display
from django_future.admin.columns import column
from django_future.admin.read_only import ReadOnlyAdmin
from django_future.models import Worker


@labelled(description=_("queues"))
def queues(worker: Worker) -> str:
    """Show which queues the worker serves."""
    return worker.describe_queues()


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin):
    """Shows the workers, and when each was last seen."""

    list_display = [
        "name",
        "host",
        column(Worker, "pid", str),
        queues,
        column(Worker, "running", str),
        column(Worker, "started_at", display.instant),
        column(Worker, "seen_at", display.instant),
    ]
    list_display_links = None
    ordering = ["name"]
    filters = frozenset({"name", "host"})

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        """Return False: the jobs of a worker without a row are rescued."""
        return False
