"""The tables. Each is a module with `TITLE`, `NEEDS`, `BOUNDS` and `measure(plan)`."""

from importlib import import_module
from types import ModuleType

DEFAULT = [
    "drain", "due", "verbosity", "insert", "sqlite", "mariadb", "schedule", "tasks", "million",
    "bloat", "memory", "fleet",
]  # fmt: skip
ALONE = ["scale", "prune"]  # not by default, because they take long


def table(name: str) -> ModuleType:
    """Return the module of the table `name`."""
    return import_module(f"benchmarks.throughput.{name}_table")
