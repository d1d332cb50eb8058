"""Workers that restart when code changes, even if the code could not be loaded."""

import os
import signal

import pytest

from django_future import ScheduledJob, schedule_job
from django_future.models import Worker
from django_future.status import Status
from tests.shop import flaky, jobs
from tests.shop.models import Trace
from tests.support.processes import stop_at_once
from tests.support.waiting import eventually, wait_for_exit

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

SETTINGS = """
from tests.settings import *
INSTALLED_APPS += ["mending"]
"""
HANDLER = """
def run():
    from tests.shop.models import Trace
    Trace.objects.create(text="mended")
"""


@pytest.fixture
def changing_module(tmp_path):
    """Return the path of a module that the models of the test shop import."""
    path = tmp_path / "changing.py"
    path.write_text("")
    return path


@pytest.fixture
def start_reloading(start_worker, tmp_path):
    """Return a function that starts a reloading worker with `tmp_path` on its path."""
    path = f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"
    return lambda *options, **environment: start_worker(
        "--reload", *options, PYTHONPATH=path, **environment
    )


def is_true_once_touched(path, condition):
    """Touch a file, and return whether the condition is true."""
    path.touch()
    return condition()


def test_a_code_change_restarts_the_worker(start_reloading, changing_module):
    process = start_reloading(TEST_IMPORT="changing")
    [before] = Worker.objects.values_list("pid", flat=True)
    eventually(
        lambda: is_true_once_touched(changing_module, Worker.objects.exclude(pid=before).exists)
    )
    process.send_signal(signal.SIGTERM)
    assert wait_for_exit(process) == 0
    eventually(lambda: not Worker.objects.exists())


def test_a_job_runs_after_its_module_is_fixed(start_reloading, tmp_path, settings, monkeypatch):
    (tmp_path / "dev_settings.py").write_text(SETTINGS)
    module = tmp_path / "mending" / "jobs.py"
    module.parent.mkdir()
    (module.parent / "__init__.py").write_text("")
    module.write_text(HANDLER)
    settings.DJANGO_FUTURE = {"CALLABLES": ["mending"]}
    monkeypatch.syspath_prepend(tmp_path)
    job = schedule_job("0s", "mending.jobs.run")
    module.write_text("import nonexistent")
    start_reloading(DJANGO_SETTINGS_MODULE="dev_settings")
    eventually(lambda: job.refresh_from_db() or "No module named 'nonexistent'" in job.error)
    module.write_text(HANDLER)
    eventually(lambda: is_true_once_touched(module, Trace.objects.exists))


def test_a_worker_restarts_after_a_module_of_declarations_is_fixed(start_reloading, tmp_path):
    (tmp_path / "dev_settings.py").write_text(SETTINGS)
    module = tmp_path / "mending" / "jobs.py"
    module.parent.mkdir()
    (module.parent / "__init__.py").write_text("")
    module.write_text("def run(:")
    start_reloading(DJANGO_SETTINGS_MODULE="dev_settings")
    [before] = Worker.objects.values_list("pid", flat=True)
    module.write_text(HANDLER)
    eventually(lambda: is_true_once_touched(module, Worker.objects.exclude(pid=before).exists))


def test_a_second_signal_is_logged_and_gives_the_exit_code(start_reloading, hold_file, tmp_path):
    output = tmp_path / "output"
    process = start_reloading(output=output)
    schedule_job("0s", jobs.hold, args=[str(hold_file)])
    eventually(hold_file.exists)
    eventually(lambda: stop_at_once(process))
    assert wait_for_exit(process) == 143
    assert "A second SIGTERM: this process ends at once" in output.read_text()


def test_a_process_that_exits_with_75_is_replaced(start_reloading, trace_texts):
    process = start_reloading()
    flaky.sleep_outside.schedule("0s", 60)
    eventually(lambda: ScheduledJob.objects.get().status == Status.FAILED)
    scheduled = schedule_job("0s", jobs.trace, args=["afterwards"])
    eventually(lambda: ScheduledJob.objects.get(pk=scheduled.pk).status == Status.COMPLETE)
    process.send_signal(signal.SIGTERM)
    assert (wait_for_exit(process), trace_texts()) == (0, ["afterwards"])


class TestSyntaxError:
    @pytest.fixture
    def process(self, start_reloading, changing_module, tmp_path):
        """Return a worker that waits because a module cannot be loaded."""
        output = tmp_path / "output"
        process = start_reloading(TEST_IMPORT="changing", output=output)
        changing_module.write_text("def (")
        waits = "waiting for a change of its code"
        eventually(
            lambda: is_true_once_touched(changing_module, lambda: waits in output.read_text())
        )
        return process

    def test_a_syntax_error_does_not_end_the_worker(self, process, changing_module):
        assert not Worker.objects.exists()
        changing_module.write_text("")
        eventually(lambda: is_true_once_touched(changing_module, Worker.objects.exists))
        assert process.poll() is None

    def test_a_worker_that_waits_for_a_fix_can_be_stopped(self, process):
        process.send_signal(signal.SIGINT)
        assert wait_for_exit(process) == 0
