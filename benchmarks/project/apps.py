"""The Django app."""

import os

from django.apps import AppConfig


class ProjectConfig(AppConfig):
    """The app of the measured jobs."""

    name = "benchmarks.project"
    label = "benchmarks_project"

    def ready(self) -> None:
        """Note the statements of this process, if a benchmark asks for it."""
        if path := os.environ.get("STATEMENTS_FILE"):
            from benchmarks.project.statements import note_statements

            note_statements(path)
