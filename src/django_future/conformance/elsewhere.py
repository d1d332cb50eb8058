"""What a test does in another process: `python -m django_future.conformance.elsewhere`."""

import json
import sys
from typing import Any

import django
from django.conf import settings


def perform(order: dict[str, Any]) -> Any:
    """Do what the test wants, with its databases and its TASKS."""
    for alias, name in order["databases"].items():
        settings.DATABASES[alias]["NAME"] = name
    settings.TASKS = order["tasks"]
    if order["action"] == "construct":
        return construct()
    django.setup()
    from django_future.conformance import tasks  # noqa: PLC0415

    if order["action"] == "enqueue":
        return tasks.echo.enqueue(order["value"]).id
    result = tasks.echo.get_result(order["id"])
    return [result.status, result.return_value]


def construct() -> list[str]:
    """Return the classes of the backends, which are made before the apps are ready."""
    from django_future.conformance.compat import task_backends  # noqa: PLC0415

    return [type(task_backends[alias]).__name__ for alias in task_backends]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(perform(json.load(sys.stdin))))
