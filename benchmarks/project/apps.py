"""The Django app."""

import os

from django.apps import AppConfig


class ProjectConfig(AppConfig):
    """The app with the measured jobs."""

    name = "benchmarks.project"
    label = "benchmarks_project"

    def ready(self) -> None:
        """Record the statements of this process if STATEMENTS_FILE is set."""
        if path := os.environ.get("STATEMENTS_FILE"):
            from benchmarks.project.statements import record_statements

            record_statements(path)
