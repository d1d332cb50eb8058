"""A signal of the Tasks API is sent if a receiver does something, or its log line is output."""

import logging

import pytest
from django.utils.log import RequireDebugFalse, RequireDebugTrue

from django_future.task_log import _LOGGERS, _function_of, is_noticed
from django_future.tasks import api
from tests.support.receivers import connected

SIGNALS = api.task_enqueued, api.task_started, api.task_finished
NAME = api.Task.__module__.rpartition(".")[0]


@pytest.fixture
def logger():
    """Return the logger of tasks without handlers, and without those of the test runner."""
    found = logging.getLogger(NAME)
    before = found.handlers, found.propagate, found.level
    connected_before = [(signal, signal.receivers) for signal in SIGNALS]
    for signal in SIGNALS:  # other modules of the tests connect receivers for good
        signal.receivers = [
            one for one in signal.receivers if _function_of(one[1]).__module__ in _LOGGERS
        ]
    found.handlers, found.propagate = [], False
    found.setLevel(logging.INFO)
    yield found
    found.handlers, found.propagate = before[:2]
    found.setLevel(before[2])
    for signal, receivers in connected_before:
        signal.receivers = receivers


def handler(level=logging.NOTSET, *filters):
    """Return a handler of logging with filters."""
    created = logging.StreamHandler()
    created.setLevel(level)
    for each in filters:
        created.addFilter(each)
    return created


@pytest.mark.parametrize(
    ("handlers", "expected"),
    [
        ([], False),
        ([logging.NullHandler()], False),
        ([handler(logging.ERROR)], False),
        ([handler(logging.INFO, RequireDebugTrue())], False),
        ([handler(logging.INFO, RequireDebugFalse())], True),
        ([handler(logging.INFO, lambda _: False)], True),
        ([handler(logging.ERROR), handler()], True),
    ],
    ids=[
        "none", "null handler", "errors only", "only with DEBUG", "only without DEBUG",
        "another filter", "a second handler",
    ],
)  # fmt: skip
def test_the_log_counts_if_a_handler_may_output_its_lines(logger, handlers, expected):
    logger.handlers = handlers
    assert is_noticed(api.task_started) is expected


def test_the_log_counts_with_debug(logger, settings):
    logger.handlers = [handler(logging.INFO, RequireDebugTrue())]
    settings.DEBUG = True
    assert is_noticed(api.task_finished)


def test_the_handlers_of_the_loggers_above_count(logger):
    logger.propagate = True
    logging.getLogger().addHandler(added := handler())
    try:
        assert is_noticed(api.task_started)
    finally:
        logging.getLogger().removeHandler(added)


def test_a_level_of_the_logger_above_that_of_the_line_makes_it_unnoticed(logger):
    logger.handlers = [handler()]
    logger.setLevel(logging.WARNING)
    assert not is_noticed(api.task_started)


def test_a_line_of_a_lower_level_is_not_noticed(logger):
    logger.handlers = [handler()]
    assert not is_noticed(api.task_enqueued, logging.DEBUG)


def test_a_receiver_of_the_project_counts_without_any_log(logger):
    logger.handlers = []  # pytest has added its own
    with connected(api.task_finished, print):
        assert is_noticed(api.task_finished)
    assert not is_noticed(api.task_finished)
