"""The tables there are, each a module with `TITLE`, `BOUNDS` and `measure(plan)`."""

from importlib import import_module
from types import ModuleType

DEFAULT = [
    "drain", "due", "verbosity", "insert", "sqlite", "mariadb", "schedule", "million", "bloat",
    "memory", "fleet",
]  # fmt: skip
ALONE = ["scale", "prune"]  # take too long to be measured with the others


def table(name: str) -> ModuleType:
    """Return the module of the table `name`."""
    return import_module(f"benchmarks.throughput.{name}_table")
