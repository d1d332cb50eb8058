"""The types that type checkers infer for jobs, without a plugin, and without stubs for Django."""

import json
import re
import subprocess
import sys
import sysconfig
import venv
from importlib.util import find_spec
from pathlib import Path

import asgiref
import django
import pytest

from django_future import ScheduledJob

ROOT = Path(__file__).parent.parent

pytestmark = [
    pytest.mark.slow,
    pytest.mark.only_on("sqlite", reason="types do not depend on the database"),
]

HEAD = """
from django_future import ScheduledJob, job as handler, job_as_parameter, recurring, schedule_job
from django_future.models import JobAttempt, PausedQueue, Worker
from django_future.testing import perform_job
from tests.shop.models import Order, Subscription

order, subscription = Order(), Subscription()
attempt, queue, worker = JobAttempt(), PausedQueue(), Worker()
job = schedule_job("5d", "shop.jobs.remind")


@job_as_parameter
@handler(expires="1d")
def marked_above(job: ScheduledJob, n: int) -> str:
    return f"{job} {n}"


@handler
@job_as_parameter
def marked_below(job: ScheduledJob, n: int) -> str:
    return f"{job} {n}"


@handler
async def awaited(n: int) -> int:
    return n


@recurring(cron="0 9 * * *", timezone="Europe/Berlin", args=[3], max_attempts=2)
@handler
def declared_above(n: int) -> str:
    return str(n)


@handler
@recurring(every="90m", name="below", expires=None, kwargs={"n": 3})
@job_as_parameter
def declared_below(job: ScheduledJob, n: int) -> str:
    return f"{job} {n}"
"""
JOBS = "ScheduledJobQuerySet"
TYPES = {
    "ScheduledJob.objects.for_object(order)": JOBS,
    "ScheduledJob.objects.scheduled()": JOBS,
    "ScheduledJob.objects.using('other').paused()": JOBS,
    "ScheduledJob.objects.filter(pk=1).running()": JOBS,
    "ScheduledJob.objects.order_by('pk').unfinished().exclude(pk=1).finished()": JOBS,
    "ScheduledJob.objects.overdue(job.scheduled_at).due(job.created_at)": JOBS,
    "ScheduledJob.objects.get(pk=1)": "ScheduledJob",
    "ScheduledJob.objects.for_object(order).first()": "ScheduledJob | None",
    "ScheduledJob.objects.filter(pk=1).last()": "ScheduledJob | None",
    "ScheduledJob.objects.latest('pk')": "ScheduledJob",
    "ScheduledJob.objects.earliest('pk')": "ScheduledJob",
    "ScheduledJob.objects.due(job.created_at)[0]": "ScheduledJob",
    "ScheduledJob.objects.running()[:3]": JOBS,
    "ScheduledJob.objects.scheduled().count()": "int",
    "ScheduledJob.objects.scheduled().exists()": "bool",
    "ScheduledJob.DoesNotExist": "type[ObjectDoesNotExist]",
    "[found for found in ScheduledJob.objects.all()]": "list[ScheduledJob]",
    "[found for found in ScheduledJob.objects.due(job.created_at)]": "list[ScheduledJob]",
    "[found for found in ScheduledJob.objects.iterator()]": "list[ScheduledJob]",
    "subscription.scheduled_jobs.scheduled()": JOBS,
    "job.reschedule('5d')": "ScheduledJob",
    "job.lifetime": "timedelta | None",
    "job.id": "int",
    "job.callable_name": "str",
    "job.args": "list[Any]",
    "job.kwargs": "dict[str, Any]",
    "job.content_type": "ContentType | None",
    "job.content_type_id": "int | None",
    "job.content_object": "Any | None",
    "job.object_id": "str | None",
    "job.object_database": "str | None",
    "job.status": "str",
    "job.scheduled_at": "datetime",
    "job.first_due_at": "datetime | None",
    "job.expires_at": "datetime | None",
    "job.queue_name": "str",
    "job.priority": "int",
    "job.attempts": "int",
    "job.max_attempts": "int",
    "job.rescues": "int",
    "job.is_rescuable": "bool",
    "job.unique_key": "str | None",
    "job.options": "Any",
    "job.recurring_id": "int | None",
    "job.recurs_at": "datetime | None",
    "job.task_backend": "str | None",
    "job.error_kind": "str",
    "job.failure_note_id": "int | None",
    "job.run_after": "datetime | None",
    "job.worker": "str",
    "job.lease": "int",
    "job.signature": "str",
    "job.created_at": "datetime",
    "job.started_at": "datetime | None",
    "job.finished_at": "datetime | None",
    "job.return_value": "Any",
    "job.error": "str",
    "job.current_progress.done": "int | None",
    "job.current_progress.message": "str",
    "[found.exception for found in job.failed_attempts.all()]": "list[str]",
    "marked_above.schedule('5d', 3)": "ScheduledJob",
    "marked_above(job, 3)": "str",
    "marked_below.schedule('5d', 3)": "ScheduledJob",
    "marked_below(job, 3)": "str",
    "declared_above.schedule('5d', 3)": "ScheduledJob",
    "declared_above(3)": "str",
    "declared_below.schedule('5d', 3)": "ScheduledJob",
    "declared_below(job, 3)": "str",
    "perform_job(marked_below, args=[3])": "str",
    "perform_job(awaited, args=[3])": "int",
    "perform_job('shop.jobs.remind')": "Any",
    "attempt.job": "ScheduledJob",
    "attempt.started_at": "datetime",
    "JobAttempt.objects.get()": "JobAttempt",
    "queue.queue_name": "str",
    "queue.reason": "str",
    "queue.paused_at": "datetime",
    "PausedQueue.objects.first()": "PausedQueue | None",
    "worker.name": "str",
    "worker.seen_at": "datetime",
    "[found.host for found in Worker.objects.all()]": "list[str]",
}


def test_the_checked_types_cover_every_field():
    names = {name for known in TYPES for name in re.findall(r"^job\.(\w+)$", known)}
    columns = {field.attname for field in ScheduledJob._meta.concrete_fields}
    assert columns - names == set()


@pytest.mark.parametrize("expression", TYPES)
def test_mypy_infers_types_without_a_plugin(expression, by_mypy):
    assert by_mypy[expression] == TYPES[expression]


@pytest.mark.parametrize("expression", TYPES)
def test_mypy_infers_types_without_stubs(expression, by_mypy_without_stubs):
    # The classes of Django are Any.
    known = re.sub("ContentType|ObjectDoesNotExist", "Any", TYPES[expression])
    assert by_mypy_without_stubs[expression] == known


@pytest.mark.parametrize("expression", TYPES)
def test_pyright_infers_types(expression, by_pyright):
    assert by_pyright[expression] == TYPES[expression]


@pytest.mark.parametrize("expression", TYPES)
def test_pyright_infers_types_without_stubs(expression, by_pyright_without_stubs):
    assert by_pyright_without_stubs[expression] == TYPES[expression]


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    """Return the path of a module that reveals the type of one expression per line."""
    module = tmp_path_factory.mktemp("types") / "revealed.py"
    module.write_text(HEAD + "\n".join(f"reveal_type({expression})" for expression in TYPES))
    return module


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory):
    """Return the interpreter of a virtual environment that has Django, but no stubs."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    paths = sysconfig.get_path("purelib", "venv", {"base": folder, "platbase": folder})
    for package in [django, asgiref]:
        source = Path(package.__file__).parent
        (Path(paths) / source.name).symlink_to(source, target_is_directory=True)
    return python


@pytest.fixture(scope="module")
def by_mypy(module):
    """Return the type that mypy infers for each expression."""
    return _types_of_mypy(module, sys.executable)


@pytest.fixture(scope="module")
def by_mypy_without_stubs(module, bare_python):
    """Return the type that mypy infers for each expression without django-stubs."""
    return _types_of_mypy(module, bare_python)


@pytest.fixture(scope="module")
def by_pyright(module):
    """Return the types that basedpyright infers, which has the engine of pyright."""
    return _types_of_pyright(module, sys.executable)


@pytest.fixture(scope="module")
def by_pyright_without_stubs(module, bare_python):
    """Return the types that basedpyright infers without django-stubs."""
    return _types_of_pyright(module, bare_python)


def _types_of_mypy(module, python):
    config = module.with_name("mypy.ini")
    config.write_text(
        f"[mypy]\nmypy_path = {ROOT / 'src'}:{ROOT}\nfollow_imports = silent\n"
        "[mypy-django.*,asgiref.*]\nignore_missing_imports = true\n"
    )
    options = ["--config-file", config, "--cache-dir", module.with_name("cache")]
    command = [sys.executable, "-m", "mypy", *options, "--python-executable", python, module]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = re.findall(r":(\d+): note: Revealed type is \"(.*)\"", done.stdout)
    return {_expression(int(number)): _short(text) for number, text in lines}


def _types_of_pyright(module, python):
    if find_spec("basedpyright") is None:
        pytest.skip("basedpyright is not installed; make types installs it")
    config = module.with_name("pyrightconfig.json")
    config.write_text(
        json.dumps({
            "include": [module.name],
            "typeCheckingMode": "standard",
            "extraPaths": [str(ROOT / "src"), str(ROOT)],
        })
    )  # fmt: skip
    options = ["--outputjson", "--project", config, "--pythonpath", python]
    done = subprocess.run(
        [sys.executable, "-m", "basedpyright", *options],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return {
        _expression(note["range"]["start"]["line"] + 1): note["message"].split('" is "')[1][:-1]
        for note in json.loads(done.stdout)["generalDiagnostics"]
    }


def _expression(line):
    return list(TYPES)[line - HEAD.count("\n") - 1]


def _short(text):
    return re.sub(r"\w+\.", "", text)
