"""The options of one task, which override those of its backend."""

from typing import Any

from django_future.options import UNSET
from django_future.remedies import no_such

# The fields of a `FutureTask` that a task of Django does not have.
NAMES = ("max_attempts", "backoff", "timeout", "expires", "unique", "unique_replace", "atomic",
         "rescue", "on_delete", "sensitive_arguments")  # fmt: skip


def own_options(task: Any) -> dict[str, Any]:
    """Return the options that are given for a task, by name; {} for a task of Django."""
    values = {name: getattr(task, name, UNSET) for name in NAMES}
    return {name: value for name, value in values.items() if value is not UNSET}


def check_names(options: dict[str, Any]) -> None:
    """Raise `TypeError` if one of these is not the name of an option of a task."""
    if unknown := options.keys() - set(NAMES):
        known = ["priority", "queue_name", "run_after", "backend", *NAMES]
        raise TypeError(f"using() has {no_such('option', unknown, known)}")
