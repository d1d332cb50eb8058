"""Writes a trace for each signal of a task. A worker imports it if TEST_IMPORT names it."""

from importlib import import_module

import django

library = "django.tasks" if django.VERSION >= (6, 0) else "django_tasks"


def connect():
    """Connect the receivers."""
    signals = import_module(f"{library}.signals")
    signals.task_started.connect(_started)
    signals.task_finished.connect(_finished)


def _started(sender, task_result, **_):
    _write("started", sender, task_result)


def _finished(sender, task_result, **_):
    _write("finished", sender, task_result)


def _write(name, sender, result):
    from tests.shop.models import Trace

    words = name, sender.__name__, result.id, str(result.status), len(result.worker_ids)
    Trace.objects.create(text=" ".join(map(str, words)))


connect()
