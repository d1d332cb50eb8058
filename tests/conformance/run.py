"""Run the suite on one backend: `python -m tests.conformance.run NAME`. Prints JSON."""

import json
import os
import platform
import sys
import tempfile
import unittest
from contextlib import contextmanager
from importlib.metadata import version

import django
from django.test.runner import DiscoverRunner


def main(name):
    """Run the tests of a backend, and print what came of them."""
    with prepare(name):
        from tests.conformance.adapters import ADAPTERS

        print(json.dumps(report(ADAPTERS[name])))


@contextmanager
def prepare(name):
    """Set Django up for a backend, in a temporary folder."""
    os.environ |= {
        "CONFORMANCE_BACKEND": name,
        "DJANGO_SETTINGS_MODULE": "tests.conformance.settings",
    }
    with tempfile.TemporaryDirectory() as os.environ["TEST_SCRATCH"]:
        django.setup()
        yield


def report(adapter):
    """Run the tests of an adapter, and describe the outcomes."""
    from django.db import connection

    from django_future.conformance import BackendConformance

    tests = unittest.defaultTestLoader.getTestCaseNames(adapter)
    result = unittest.TestResult()
    with on_a_new_database():
        unittest.TestSuite(map(adapter, tests)).run(result)
    problems = [*result.failures, *result.errors, *result.expectedFailures]
    failed = {name_of(test): traceback for test, traceback in problems}
    if failed.keys() - tests:
        raise RuntimeError(f"The tests could not begin: {failed}")
    return {
        "backend": adapter.backend_path.rpartition(".")[2],
        "distribution": adapter.distribution,
        "version": version(adapter.distribution),
        "database": connection.vendor,
        "django": django.get_version(),
        "python": platform.python_version(),
        "promises": [test for test in tests if hasattr(BackendConformance, test)],
        "customs": [test for test in tests if not hasattr(BackendConformance, test)],
        "failed": failed,
        "not_applicable": {name_of(test): reason for test, reason in result.skipped},
        "known_faults": dict(adapter.known_faults),
    }


@contextmanager
def on_a_new_database():
    """Create the database, and remove it afterwards."""
    runner = DiscoverRunner(verbosity=0, interactive=False)
    runner.setup_test_environment()
    databases = runner.setup_databases()
    try:
        yield
    finally:
        runner.teardown_databases(databases)


def name_of(test):
    """Return the name of the method of a test or of a part of it."""
    return getattr(test, "test_case", test).id().rpartition(".")[2]


if __name__ == "__main__":
    main(sys.argv[1])
