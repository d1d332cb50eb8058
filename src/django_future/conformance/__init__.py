"""Checks that a backend keeps the promises of Django's documentation about tasks.

Each test of `BackendConformance` checks one promise, and its docstring says where Django's
documentation makes it. The tests of `BackendCustoms` check what the documentation does not say, but
what users can expect. Both are mixins of a `TransactionTestCase`, and one class may have both::

    class MyBackendTests(BackendConformance, BackendCustoms, TransactionTestCase):
        backend_path = "my_package.MyBackend"

        def run_due(self):
            call_command("my_worker", "--until-empty")

The class does not need a setting TASKS. It works with `manage.py test`, and with pytest if
pytest-django is installed: pytest runs the class as it is.

The attributes and methods of `Hooks` describe a backend. `run_due` is necessary, unless the backend
executes tasks at once or not at all. A test that does not apply to the backend is skipped. If the
backend fails a test for now, name it in `known_faults`, with the reason.
"""

from django_future.conformance.arguments import ArgumentPromises
from django_future.conformance.configuration import ConfigurationPromises
from django_future.conformance.custom_api import ApiCustoms, LoggingCustoms
from django_future.conformance.custom_faults import (
    AliasCustoms,
    ErrorCustoms,
    GoneCustoms,
    ValueCustoms,
)
from django_future.conformance.custom_processes import ProcessCustoms
from django_future.conformance.custom_signals import RetryCustoms, SignalCustoms
from django_future.conformance.deferral import DeferralPromises
from django_future.conformance.definition import DefinitionPromises
from django_future.conformance.enqueueing import EnqueueingPromises
from django_future.conformance.hooks import Hooks
from django_future.conformance.outcomes import ErrorPromises, ReturnValuePromises, TimePromises
from django_future.conformance.pickling import PicklingPromises
from django_future.conformance.results import ResultPromises
from django_future.conformance.retries import RetryPromises
from django_future.conformance.running import ContextPromises, RunningPromises
from django_future.conformance.signals import SignalPromises

__all__ = ["BackendConformance", "BackendCustoms", "Hooks"]


class BackendConformance(
    ConfigurationPromises,
    DefinitionPromises,
    EnqueueingPromises,
    ArgumentPromises,
    ResultPromises,
    ReturnValuePromises,
    ErrorPromises,
    TimePromises,
    RunningPromises,
    ContextPromises,
    DeferralPromises,
    SignalPromises,
    RetryPromises,
    PicklingPromises,
):
    """Checks the promises of Django's documentation."""


class BackendCustoms(
    ApiCustoms,
    LoggingCustoms,
    SignalCustoms,
    RetryCustoms,
    ValueCustoms,
    ErrorCustoms,
    GoneCustoms,
    AliasCustoms,
    ProcessCustoms,
):
    """Checks what the documentation does not say."""
