"""Which permission each address of the admin needs, and that viewing changes nothing.

Each address that the admin of this package exposes must be in one of the tables.
"""

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.urls import reverse

from django_future import (
    ScheduledJob,
    clock,
    deal_with_failures,
    pause_queue,
    schedule_job,
    schedule_recurring,
)
from django_future.models import FailureNote, PausedQueue, RecurringJob, Worker
from django_future.status import Status
from tests.shop import jobs
from tests.support.admin_pages import job_in

pytestmark = pytest.mark.django_db

APP = apps.get_app_config("django_future")
VIEW, OPERATE = "view_scheduledjob", "operate_scheduledjob"
ADD, DELETE = "add_scheduledjob", "delete_scheduledjob"
PAUSE = "pause_queue"
RECURRING = "view_recurringjob", "add_recurringjob", "change_recurringjob", "delete_recurringjob"
SEE_RECURRING, ADD_RECURRING, CHANGE_RECURRING, DELETE_RECURRING = RECURRING
SEE_QUEUES, SEE_WORKERS = "view_pausedqueue", "view_worker"

# The sets of permissions of which each opens the address by GET or, if it is in POST_ONLY, by POST.
# The address refuses each user without one of them.
NEEDS: dict[str, list[set[str]]] = {
    "scheduledjob_changelist": [{VIEW}],
    "scheduledjob_add": [{VIEW, ADD}],
    "scheduledjob_history": [{VIEW}],
    "scheduledjob_delete": [{VIEW, DELETE}],
    "scheduledjob_change": [{VIEW}],
    "scheduledjob_bulk": [{VIEW, OPERATE}, {VIEW, DELETE}],
    "scheduledjob_act": [{VIEW, OPERATE}],
    "scheduledjob_progress": [{VIEW}],
    "scheduledjob_duplicate": [{VIEW, ADD}],
    "scheduledjob_dealt_with": [{VIEW, OPERATE}],
    "failures": [{VIEW}],
    "failures_act": [{VIEW, OPERATE}],
    "failures_reopen": [{VIEW, OPERATE}],
    "overview": [{VIEW}],
    "recurringjob_changelist": [{SEE_RECURRING}, {CHANGE_RECURRING}],
    "recurringjob_add": [{ADD_RECURRING}],
    "recurringjob_history": [{SEE_RECURRING}, {CHANGE_RECURRING}],
    "recurringjob_delete": [{DELETE_RECURRING}],
    "recurringjob_change": [{SEE_RECURRING}, {CHANGE_RECURRING}],
    "recurringjob_preview": [{ADD_RECURRING}, {CHANGE_RECURRING}],
    "recurringjob_backfill": [{CHANGE_RECURRING}],
    "recurringjob_pause": [{CHANGE_RECURRING}],
    "recurringjob_resume": [{CHANGE_RECURRING}],
    "recurringjob_trigger": [{CHANGE_RECURRING}],
    "pausedqueue_changelist": [{SEE_QUEUES}, {PAUSE}],
    "pausedqueue_add": [{PAUSE}],
    "pausedqueue_history": [{SEE_QUEUES}, {PAUSE}],
    "pausedqueue_delete": [],
    "pausedqueue_change": [{SEE_QUEUES}, {PAUSE}],
    "worker_changelist": [{SEE_WORKERS}],
    "worker_add": [],
    "worker_history": [{SEE_WORKERS}],
    "worker_delete": [],
    "worker_change": [{SEE_WORKERS}],
}
# GET at these changes nothing. It redirects to a page with a message, or shows a form.
POST_ONLY = {
    "scheduledjob_bulk",
    "scheduledjob_act",
    "scheduledjob_dealt_with",
    "failures_act",
    "failures_reopen",
    "recurringjob_pause",
    "recurringjob_resume",
    "recurringjob_trigger",
}
PERMISSIONS = (
    *(VIEW, OPERATE, ADD, DELETE, PAUSE),
    *(*RECURRING, SEE_QUEUES, SEE_WORKERS),
)
VIEW_ONLY = VIEW, SEE_RECURRING, SEE_QUEUES, SEE_WORKERS

# What a user could send to the addresses, whether or not a button sends it.
CRAFTED = [
    {"confirmed": "yes", "post": "yes", "note": "x", "reason": "x"},
    *(
        {
            "operation": operation,
            "scope": "all",
            "last_id": "999999",
            "confirmed": "yes",
            "shown_at": "2999-01-01T00:00Z",
        }
        for operation in ("retry", "deal")
    ),
    *(
        {"act": act, "action": act, "confirmed": "yes", "when": "0s", "reason": "x"}
        for act in ("run_now", "move", "cancel", "stop", "retry", "pause", "resume", "trigger")
    ),
    {"name": "x", "callable_name": "tests.shop.jobs.echo", "every": "1h", "queue_name": "q"},
]


def exposed():
    """Return the names of the addresses of this package, each with its admin and its pattern."""
    found = {}
    for model, model_admin in admin.site._registry.items():
        if model._meta.app_label == APP.label:
            for pattern in model_admin.get_urls():
                if pattern.name:
                    name = pattern.name.removeprefix(f"{APP.label}_")
                    found[name] = (model, pattern)
    return found


EXPOSED = exposed()


@pytest.fixture
def rows(db):
    """Return one row of each model, with jobs in each status."""
    at = clock.to_row(clock.now())
    made = [job_in(status) for status in Status]
    failed = ScheduledJob.objects.filter(pk=job_in(Status.FAILED).pk)
    deal_with_failures(failed)
    schedule_job("1h", jobs.echo)
    pause_queue("mail")
    return {
        ScheduledJob: next(job for job in made if job.status == Status.FAILED),
        RecurringJob: schedule_recurring("nightly", jobs.echo, every="1h"),
        PausedQueue: PausedQueue.objects.get(),
        Worker: Worker.objects.create(name="w", host="h", pid=1, started_at=at, seen_at=at),
    }


def address(name, rows):
    model, pattern = EXPOSED[name]
    arguments = [rows[model].pk] * len(pattern.pattern.converters)
    return reverse(f"admin:{APP.label}_{name}", args=arguments)


def as_user(client, *permissions):
    user = User.objects.create_user("-".join(permissions)[:150] or "none", is_staff=True)
    user.user_permissions.set(
        Permission.objects.filter(codename__in=permissions, content_type__app_label=APP.label)
    )
    client.force_login(user)
    return client


def request(client, name, rows, **data):
    send = client.post if name in POST_ONLY else client.get
    return send(address(name, rows), data)


def all_rows():
    return {
        model.__name__: sorted(map(repr, model._base_manager.values_list()))
        for model in APP.get_models()
    }


def test_each_address_is_in_the_table():
    assert set(EXPOSED) - set(NEEDS) == set()


@pytest.mark.parametrize("name", sorted(EXPOSED))
def test_a_user_without_permissions_is_refused(client, rows, name):
    assert request(as_user(client), name, rows).status_code == 403


@pytest.mark.parametrize("name", sorted(set(EXPOSED) & set(NEEDS)))
def test_each_set_of_permissions_opens_its_addresses(client, rows, name):
    for permissions in NEEDS[name]:
        assert request(as_user(client, *permissions), name, rows).status_code != 403


@pytest.mark.parametrize("permission", PERMISSIONS)
def test_a_single_permission_opens_no_other_address(client, rows, permission):
    as_user(client, permission)
    for name in sorted(set(EXPOSED) & set(NEEDS)):
        response = request(client, name, rows)
        if {permission} in NEEDS[name]:
            assert response.status_code != 403, name
        else:
            assert response.status_code == 403, name


@pytest.mark.parametrize("permissions", [(), VIEW_ONLY])
@pytest.mark.parametrize("name", sorted(EXPOSED))
def test_a_crafted_form_of_a_user_who_may_only_view_changes_nothing(
    client, rows, name, permissions
):
    before = all_rows()
    as_user(client, *permissions)
    for data in CRAFTED:
        client.post(address(name, rows), data)
    assert all_rows() == before


@pytest.mark.parametrize("permissions", [(), VIEW_ONLY, (OPERATE,), (DELETE,)])
def test_no_action_of_a_list_changes_anything_without_permission(client, rows, permissions):
    before = all_rows()
    as_user(client, *permissions)
    for model, model_admin in admin.site._registry.items():
        if model._meta.app_label == APP.label:
            target = reverse(f"admin:{APP.label}_{model._meta.model_name}_changelist")
            for action in [*model_admin.actions, "delete_selected"]:
                name = action if isinstance(action, str) else action.__name__
                for job in model._base_manager.all():
                    data = {"action": name, "_selected_action": job.pk}
                    client.post(target, {**data, "confirmed": "yes", "post": "yes"})
    assert all_rows() == before


@pytest.mark.parametrize("name", sorted(POST_ONLY))
def test_get_at_an_address_that_acts_changes_nothing_and_shows_a_page(client, rows, name):
    before = all_rows()
    as_user(client, *PERMISSIONS)
    for data in [{}, *CRAFTED]:
        response = client.get(address(name, rows), data, follow=True)
        assert response.status_code == 200
        assert "recurringjob_pause" in name or "Nothing was done." in response.content.decode()
    assert all_rows() == before
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("name", sorted(POST_ONLY))
def test_get_at_an_address_that_acts_is_refused_without_permission(client, rows, name):
    assert as_user(client, *VIEW_ONLY).get(address(name, rows)).status_code == 403


def test_a_user_who_is_not_logged_in_gets_to_the_login(client, rows):
    for name in EXPOSED:
        response = client.post(address(name, rows), {"confirmed": "yes"})
        assert "/login/" in response.headers["Location"], name
    assert FailureNote.objects.count() == 1


@pytest.mark.parametrize(
    ("model", "page"),
    [
        *(
            (ScheduledJob, page)
            for page in ("act", "progress", "duplicate", "dealt-with", "change")
        ),
        *((RecurringJob, page) for page in ("pause", "resume", "trigger", "backfill", "change")),
    ],
)
@pytest.mark.parametrize("method", ["get", "post"])
def test_an_admin_that_hides_a_row_hides_all_of_its_pages(
    admin_client, model, page, method, monkeypatch
):
    schedule_recurring("hourly", jobs.trace, every="1h")
    schedule_job("1h", jobs.echo)
    row, model_admin = model.objects.first(), type(admin.site.get_model_admin(model))

    def only_without_a_row(_admin, _request, obj=None):
        return obj is None

    monkeypatch.setattr(model_admin, "has_view_permission", only_without_a_row)
    monkeypatch.setattr(model_admin, "has_change_permission", only_without_a_row)
    address = f"/admin/django_future/{model._meta.model_name}/{row.pk}/{page}/"
    assert getattr(admin_client, method)(address).status_code == 403
