"""The backends that the suite runs on, and the promises that each is known to break."""

import json
import os
from importlib.util import find_spec
from urllib.parse import urlsplit

import django
from django.test import TransactionTestCase
from django.utils.module_loading import import_string

from django_future.conformance import BackendConformance, BackendCustoms
from django_future.conformance.compat import task_backends

IN_DJANGO = django.VERSION >= (6, 0)
DISTRIBUTION = "django" if IN_DJANGO else "django-tasks"
PACKAGE = "django.tasks" if IN_DJANGO else "django_tasks"

DATABASE = urlsplit(os.environ.get("DATABASE_URL", "sqlite:///")).scheme

KEEPS_TYPES = "normalize_json() keeps the types of keys and of subclasses."
NO_TIMEDELTA = "Django's validate_task() expects a datetime."
SENDS_INSTANCE = "The sender is the instance of the backend."
USES_SEND = "The worker calls send(), not send_robust()."
NO_SURROGATES = "The database refuses the traceback."
VALIDATES_AGAIN = "The rebuilt Task is validated, which raises InvalidTask."
IMPORTS_CODE = "ImportError gets out."
JSONB = "The columns are of the type jsonb."
JSON_VALID = "JSON_VALID() of MariaDB refuses it."

# The faults of a database whose columns for JSON are Django's.
OF_JSON_FIELDS = {
    "mysql": {
        "test_a_text_with_half_a_character_arrives": JSON_VALID,
        "test_a_value_of_a_hundred_levels_arrives": JSON_VALID,
    },
    "postgresql": {
        "test_a_text_with_a_nul_arrives": JSONB,
        "test_a_text_with_half_a_character_arrives": JSONB,
        "test_an_error_with_a_nul_is_stored": "The database refuses the traceback.",
        "test_extreme_floats_arrive": JSONB,
        "test_extreme_floats_can_be_returned": JSONB,
        "test_the_order_of_keys_arrives": JSONB,
    },
}.get(DATABASE, {})


class ImmediateTests(BackendConformance, BackendCustoms, TransactionTestCase):
    """Django's ImmediateBackend."""

    distribution = DISTRIBUTION
    backend_path = f"{PACKAGE}.backends.immediate.ImmediateBackend"
    executes_at_enqueue = True
    known_faults = {
        "test_keys_arrive_as_texts": KEEPS_TYPES,
        "test_subclasses_of_a_text_arrive_as_texts": KEEPS_TYPES,
        "test_the_keys_of_a_return_value_become_texts": KEEPS_TYPES,
    }


class DummyTests(BackendConformance, BackendCustoms, TransactionTestCase):
    """Django's DummyBackend."""

    distribution = DISTRIBUTION
    backend_path = f"{PACKAGE}.backends.dummy.DummyBackend"
    executes_tasks = False
    known_faults = {"test_run_after_may_be_a_timedelta": NO_TIMEDELTA}


class TasksDbTests(BackendConformance, BackendCustoms, TransactionTestCase):
    """The DatabaseBackend of django-tasks-db."""

    distribution = "django-tasks-db"
    backend_path = "django_tasks_db.DatabaseBackend"
    known_faults = {
        "test_run_after_may_be_a_timedelta": NO_TIMEDELTA,
        "test_task_started_has_the_class_of_the_backend": SENDS_INSTANCE,
        "test_task_finished_has_the_class_of_the_backend_after_a_success": SENDS_INSTANCE,
        "test_a_receiver_of_task_started_that_fails_does_not_stop_the_task": USES_SEND,
        "test_a_receiver_of_task_finished_that_fails_does_not_undo_a_success": USES_SEND,
        "test_a_receiver_of_task_finished_that_fails_does_not_replace_the_error": USES_SEND,
        "test_an_error_with_half_a_character_is_stored": NO_SURROGATES,
        "test_a_waiting_task_whose_queue_is_gone_does_not_stop_the_others": VALIDATES_AGAIN,
        "test_the_result_of_a_finished_task_is_found_after_its_queue_is_gone": VALIDATES_AGAIN,
        "test_the_result_of_a_finished_task_is_found_or_not_after_its_code_is_gone": IMPORTS_CODE,
        **OF_JSON_FIELDS,
    }

    def run_due(self):
        worker = import_string("django_tasks_db.management.commands.db_worker.Worker")
        for alias in task_backends:
            worker(
                queue_names=["*"],
                interval=0,
                batch=True,
                backend_name=alias,
                startup_delay=False,
                max_tasks=None,
                worker_id="worker",
                excluded_queue_names=[],
            ).run()


class OxTests(BackendConformance, BackendCustoms, TransactionTestCase):
    """The OxBackend of django-ox."""

    distribution = "django-ox"
    backend_path = "django_ox.backend.OxBackend"
    options = {"MAX_ATTEMPTS": 1}
    known_faults = {
        "test_run_after_may_be_a_timedelta": NO_TIMEDELTA,
        "test_a_retry_does_not_change_the_task_of_the_result": "A retry overwrites run_after.",
        "test_a_task_is_retried_when_its_alias_says": "A worker runs the tasks of all aliases.",
        "test_an_error_with_half_a_character_is_stored": NO_SURROGATES,
        "test_the_result_of_a_finished_task_is_found_after_its_queue_is_gone": VALIDATES_AGAIN,
        "test_the_result_of_a_finished_task_is_found_or_not_after_its_code_is_gone": IMPORTS_CODE,
        **OF_JSON_FIELDS,
    }

    def run_due(self):
        make_worker = import_string("django_ox.worker.Worker")
        for alias in task_backends:
            worker = make_worker(backend_alias=alias)
            while (claimed := worker.claim_one()) is not None:
                worker.execute(claimed)

    @classmethod
    def retry_options(cls, attempts, delay):
        seconds = delay.total_seconds()
        return {
            "MAX_ATTEMPTS": attempts,
            "BACKOFF_INITIAL": seconds,
            "BACKOFF_MAX": seconds,
        }


class FutureTests(BackendConformance, BackendCustoms, TransactionTestCase):
    """The FutureBackend of this package."""

    distribution = "django-future"
    backend_path = "django_future.backend.FutureBackend"
    known_faults = {
        "test_large_values_arrive": "The arguments have at most 1 MiB.",
        "test_large_values_can_be_returned": "A return value has at most 1 MiB.",
        "test_a_task_may_open_a_durable_transaction": "A task runs in a transaction, by default.",
    }

    def run_due(self):
        from django_future import run_jobs

        run_jobs(ignore_errors=True)

    def pass_time(self, duration):
        from django_future import clock
        from django_future.testing.travel import stopped_clock

        return stopped_clock(clock.now() + duration)

    @classmethod
    def retry_options(cls, attempts, delay):
        return {"MAX_ATTEMPTS": attempts, "BACKOFF": [delay]}


class FutureWorkerTests(FutureTests):
    """The FutureBackend of this package, with a worker in this process."""

    def run_due(self):
        from django.db import DEFAULT_DB_ALIAS

        from django_future.worker.loop import Limits
        from django_future.worker.process import WorkerOptions, run_worker

        run_worker(WorkerOptions(alias=DEFAULT_DB_ALIAS, limits=Limits(burst=True)))


class MemoryTests(BackendConformance, BackendCustoms, TransactionTestCase):
    """A backend that keeps every promise, to test the suite itself."""

    distribution = "django-future"
    backend_path = "tests.conformance.memory.MemoryBackend"
    known_faults = {
        "test_another_process_finds_a_result": "The memory belongs to one process.",
        "test_a_task_that_another_process_has_enqueued_runs": "The memory belongs to one process.",
    }

    def setUp(self):
        from tests.conformance.memory import ROWS

        super().setUp()
        ROWS.clear()

    def run_due(self):
        for alias in task_backends:
            task_backends[alias].run_due()

    @classmethod
    def retry_options(cls, attempts, delay):
        return {"ATTEMPTS": attempts, "DELAY": delay.total_seconds()}


ADAPTERS = {
    "immediate": ImmediateTests,
    "dummy": DummyTests,
    "tasks-db": TasksDbTests,
    "ox": OxTests,
    "future": FutureTests,
    "future-worker": FutureWorkerTests,
    "memory": MemoryTests,
}


def installed():
    """Return the names of the adapters whose backends are installed."""
    return [name for name, adapter in ADAPTERS.items() if exists(adapter.backend_path)]


def exists(path):
    """Return whether the module of a backend is installed."""
    package, _, _ = path.partition(".")
    return find_spec(package) is not None and find_spec(path.rpartition(".")[0]) is not None


if __name__ == "__main__":
    print(json.dumps([name for name in installed() if name != "memory"]))
