"""What Django's topic guide on tasks shows, on our backend."""

from datetime import datetime, timedelta
from functools import partial

import pytest
from asgiref.sync import async_to_sync
from django.core import mail
from django.db import transaction
from django.utils import timezone

from django_future import run_jobs
from django_future.tasks.api import TaskResultStatus, task_backends
from tests.shop.documented import (
    double_values,
    email_users,
    email_with_context,
    fail_on_purpose,
)

pytestmark = pytest.mark.django_db(transaction=True)

MAIL = {"emails": ["ada@example.com"], "subject": "You have a message", "message": "Hello there!"}


def refreshed(result):
    """Execute the due tasks, and return the result as it is then."""
    run_jobs(ignore_errors=True)
    result.refresh()
    return result


def test_a_task_is_enqueued_by_a_call_with_the_arguments_of_its_function():
    result = email_users.enqueue(**MAIL)
    assert (result.status, mail.outbox) == (TaskResultStatus.READY, [])
    assert refreshed(result).return_value == 1
    assert [message.subject for message in mail.outbox] == [MAIL["subject"]]


def test_a_task_is_enqueued_in_asynchronous_code():
    result = async_to_sync(email_users.aenqueue)(**MAIL)
    assert refreshed(result).status == TaskResultStatus.SUCCESSFUL


def test_a_task_with_a_context_knows_its_attempt_and_its_result():
    result = email_with_context.enqueue(**MAIL)
    assert refreshed(result).return_value == [1, result.id, 1]
    assert result.task.priority == 2


def test_using_changes_a_copy_of_the_task():
    assert email_users.priority == 0
    changed = email_users.using(priority=10, run_after=timezone.now() + timedelta(hours=1))
    assert (changed.priority, email_users.priority) == (10, 0)
    assert refreshed(changed.enqueue(**MAIL)).status == TaskResultStatus.READY


def test_a_function_can_still_be_called():
    assert double_values.call({"a": 1}) == {"a": 2}


def test_arguments_must_be_json():
    with pytest.raises(TypeError):
        double_values.enqueue({"a": datetime(2026, 3, 2)})


def test_a_tuple_arrives_as_a_list():
    result = double_values.enqueue({"a": (1, 2)})
    assert refreshed(result).return_value == {"a": [1, 2, 1, 2]}


def test_a_task_that_is_enqueued_on_commit_sees_the_rows_of_the_transaction():
    with transaction.atomic():
        transaction.on_commit(partial(email_users.enqueue, **MAIL))
        run = partial(run_jobs, ignore_errors=True)
        assert mail.outbox == []
    run()
    assert len(mail.outbox) == 1


def test_a_result_is_read_by_its_id_from_the_task_and_from_the_backend():
    result_id = refreshed(email_users.enqueue(**MAIL)).id
    assert email_users.get_result(result_id).return_value == 1
    assert task_backends["default"].get_result(result_id).status == TaskResultStatus.SUCCESSFUL


def test_a_result_without_an_end_has_no_value():
    result = email_users.enqueue(**MAIL)
    with pytest.raises(ValueError, match="not finished"):
        result.return_value  # noqa: B018


def test_the_errors_of_a_failed_task_name_the_class_and_the_traceback():
    result = refreshed(fail_on_purpose.enqueue())
    assert result.status == TaskResultStatus.FAILED
    assert result.errors[0].exception_class is ValueError
    assert "the documented failure" in result.errors[0].traceback
    with pytest.raises(ValueError, match="failed"):
        result.return_value  # noqa: B018
