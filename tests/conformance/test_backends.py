"""The suite on each installed backend, in a process with its own settings."""

import os
import sys
from importlib.util import find_spec

import pytest

if find_spec("django.tasks") is None:
    pytest.importorskip("django_tasks")

from tests.conformance.__main__ import ROOT, run
from tests.conformance.adapters import ADAPTERS, installed

pytestmark = [
    pytest.mark.slow,
    pytest.mark.only_on("sqlite", reason="other backends are tested on one database"),
]

SETTINGS = """
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3"}}
SECRET_KEY = "only for the tests"
USE_TZ = True
"""

CASE = f"""
from django.test import TransactionTestCase

from django_future.conformance import BackendConformance


class DummyTests(BackendConformance, TransactionTestCase):
    backend_path = "{ADAPTERS["dummy"].backend_path}"
    executes_tasks = False
    known_faults = {{"test_run_after_may_be_a_timedelta": "Django expects a datetime."}}
"""


# test_ours.py runs the suite on "future".
@pytest.mark.parametrize("name", [name for name in ADAPTERS if name != "future"])
def test_a_backend_has_its_known_faults_only(name):
    if name not in installed():
        pytest.skip(f"{ADAPTERS[name].distribution} is not installed.")
    report = run(sys.executable, "run", name)
    assert set(report["failed"]) == set(report["known_faults"])


def test_pytest_runs_the_suite_as_it_is(pytester, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["", str(ROOT), str(ROOT / "src")]))
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "settings_of_a_project")
    pytester.makepyfile(settings_of_a_project=SETTINGS, test_dummy=CASE)
    outcomes = pytester.runpytest_subprocess().parseoutcomes()
    assert outcomes["passed"] > 50
    assert outcomes["xfailed"] == 1
    assert "failed" not in outcomes
    assert "errors" not in outcomes
