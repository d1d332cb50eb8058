"""Customs about other processes."""

import json
import os
import subprocess
import sys
from typing import Any

from django.conf import ENVIRONMENT_VARIABLE
from django.db import connections

from django_future.conformance.compat import TaskResultStatus
from django_future.conformance.helpers import Helpers


def in_memory(connection: Any) -> bool:
    """Return whether a database belongs to this process."""
    return connection.vendor == "sqlite" and bool(connection.is_in_memory_db())


class ProcessCustoms(Helpers):
    """A result is there for all processes."""

    def elsewhere(self, action: str, **arguments: Any) -> Any:
        """Do something in another process."""
        if ENVIRONMENT_VARIABLE not in os.environ:
            self.skipTest(f"Another process finds no settings: {ENVIRONMENT_VARIABLE} is not set.")
        if action != "construct" and any(map(in_memory, connections.all())):
            self.skipTest("Another process cannot open a database in memory.")
        names = {each.alias: str(each.settings_dict["NAME"]) for each in connections.all()}
        order = {"action": action, "databases": names, "tasks": self.tasks_setting(), **arguments}
        process = subprocess.run(  # noqa: S603
            [sys.executable, "-m", f"{__name__.rpartition('.')[0]}.elsewhere"],
            input=json.dumps(order),
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(process.returncode, 0, process.stderr)
        return json.loads(process.stdout)

    def test_another_process_finds_a_result(self) -> None:
        """From any thread and process. (custom: supports_get_result in the code)"""
        self.require("supports_get_result")
        result = self.run_task(self.tasks.echo, "text")
        found = self.elsewhere("find", id=result.id)
        self.assertEqual(found, [TaskResultStatus.SUCCESSFUL, "text"])

    def test_a_task_that_another_process_has_enqueued_runs(self) -> None:
        """From any thread and process. (custom: supports_get_result in the code)"""
        self.require("supports_get_result", "executes_tasks")
        result_id = self.elsewhere("enqueue", value="text")
        self.run_due()
        self.assertEqual(self.tasks.echo.get_result(result_id).return_value, "text")

    def test_the_backend_can_be_made_before_the_apps_are_ready(self) -> None:
        """A module with tasks may be imported so early. (custom: Immediate, Dummy)"""
        self.assertEqual(set(self.elsewhere("construct")), {type(self.backend).__name__})
