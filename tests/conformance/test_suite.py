"""The suite itself: it finds faults, and says where Django's documentation makes each promise."""

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

if find_spec("django.tasks") is None:
    pytest.importorskip("django_tasks")

from django_future import conformance
from django_future.conformance import BackendConformance, BackendCustoms
from tests.conformance.mutants import FINDERS

pytestmark = pytest.mark.only_on("sqlite", reason="the faulty backends use no database")

# The sections of the pages of Django's documentation, and the names that they describe.
SECTIONS = {
    "ref/settings": """
        TASKS-OPTIONS, TASKS-QUEUES
    """,
    "ref/signals": """
        task_enqueued, task_finished, task_started
    """,
    "ref/tasks": """
        BaseTaskBackend.aenqueue, BaseTaskBackend.aget_result, BaseTaskBackend.enqueue,
        BaseTaskBackend.get_result, BaseTaskBackend.options,
        BaseTaskBackend.supports_async_task, BaseTaskBackend.supports_get_result,
        BaseTaskBackend.task_class, BaseTaskBackend.validate_task, Feature flags,
        InvalidTaskBackend, Task, Task.aenqueue, Task.aget_result, Task.backend,
        Task.enqueue, Task.get_result, Task.name, Task.priority, Task.queue_name,
        Task.run_after, Task.using, TaskContext, TaskContext.attempt,
        TaskContext.task_result, TaskError.exception_class, TaskResult, TaskResult.arefresh,
        TaskResult.attempts, TaskResult.backend, TaskResult.enqueued_at, TaskResult.errors,
        TaskResult.finished_at, TaskResult.id, TaskResult.is_finished,
        TaskResult.last_attempted_at, TaskResult.return_value, TaskResult.started_at,
        TaskResult.task, TaskResult.worker_ids, TaskResultStatus.FAILED,
        TaskResultStatus.READY, TaskResultStatus.RUNNING, TaskResultStatus.SUCCESSFUL, The
        task decorator
    """,
    "releases/6.1": """
        Tasks
    """,
    "topics/tasks": """
        Background Task fundamentals, Configuring a Task backend, Defining Tasks, Enqueueing
        Tasks, Errors, Modifying Tasks, Retrieving backends, Return values, Task context,
        Task results, Third-party backends, Transactions, Updating results
    """,
}


def cases_of(mixin):
    """Return the tests of a mixin by their names."""
    return {name: getattr(mixin, name) for name in dir(mixin) if name.startswith("test_")}


def sections_of(page):
    """Return the sections of a page."""
    return " ".join(SECTIONS[page].split()).split(", ")


def test_each_promise_has_its_place_in_the_documentation():
    for name, test in cases_of(BackendConformance).items():
        page, section = re.search(r"\((\S+), (.*)\)$", test.__doc__).groups()
        assert section in sections_of(page), name


def test_each_custom_says_where_it_comes_from():
    for name, test in cases_of(BackendCustoms).items():
        assert re.search(r"\(custom: .+\)$", test.__doc__), name


@pytest.mark.parametrize("mixin", [BackendConformance, BackendCustoms])
def test_no_test_hides_another(mixin):
    names = [name for base in mixin.__bases__ for name in vars(base) if name.startswith("test_")]
    assert len(names) == len(cases_of(mixin))


def test_promises_and_customs_are_apart():
    assert not cases_of(BackendConformance).keys() & cases_of(BackendCustoms).keys()


def test_a_known_fault_is_the_name_of_a_test():
    with pytest.raises(AttributeError):

        class Misspelt(BackendConformance):
            known_faults = {"test_no_such_promise": "no reason"}


def test_the_suite_imports_nothing_else_of_this_package():
    package = Path(conformance.__file__).parent
    imports = {
        imported
        for path in package.glob("*.py")
        for imported in re.findall(r"(?:from|import) (django_future[\w.]*)", path.read_text())
    }
    assert {name for name in imports if not name.startswith("django_future.conformance")} == set()


@pytest.mark.slow
def test_the_suite_finds_the_faults_of_faulty_backends():
    command = [sys.executable, "-m", "tests.conformance.mutation"]
    failed = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    assert {name: tests for name, tests in FINDERS.items() if {*tests} - {*failed[name]}} == {}


def test_each_fault_has_tests_that_exist():
    names = cases_of(BackendConformance) | cases_of(BackendCustoms)
    assert {test for tests in FINDERS.values() for test in tests} <= names.keys()
