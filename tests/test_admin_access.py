"""Permissions in the admin, and what filters and searches disclose."""

from itertools import combinations

import pytest
from django.contrib.auth.models import Permission, User
from django.contrib.contenttypes.models import ContentType

from django_future import ScheduledJob, job, pause_queue, schedule_job
from django_future.models import PausedQueue, Worker
from django_future.serialization import Stored
from django_future.status import Status
from tests.shop import jobs
from tests.shop.models import Order
from tests.support.admin_pages import LIST, listed
from tests.support.rows import rewrite

pytestmark = pytest.mark.django_db

APP = "/admin/django_future/"
QUEUES, WORKERS = f"{APP}pausedqueue/", f"{APP}worker/"
SECRET = "4111-1111"
VERBS, MODELS = ("view", "add", "change", "delete"), ("scheduledjob", "pausedqueue", "worker")
PERMISSIONS = [f"{verb}_{model}" for model in MODELS for verb in VERBS] + [
    "operate_scheduledjob",
    "pause_queue",
]
DEEP = 10**6


@job(sensitive_arguments=["card"])
def pay(amount, card):
    """Take a card number, which is sensitive."""


@job(sensitive_arguments=True, unique=True)
def log_in(name, password):
    """Take a password."""


class TestPermissions:
    @pytest.fixture
    def saved_rows(self):
        """Return a job, a paused queue and a worker."""
        scheduled = schedule_job("1h", jobs.echo)
        pause_queue("mail")
        at = scheduled.created_at
        worker = Worker.objects.create(name="w", host="h", pid=1, started_at=at, seen_at=at)
        return scheduled, PausedQueue.objects.get(), worker

    def answers(self, client, rows):
        """Yield the response to each page for a user."""
        for folder, row in zip((LIST, QUEUES, WORKERS), rows, strict=True):
            for page in ("", "add/", *(f"{row.pk}/{page}/" for page in PAGES)):
                yield folder, page.rpartition("/")[0].rpartition("/")[2], client.get(folder + page)

    @pytest.mark.parametrize("count", [0, 1, pytest.param(2, marks=pytest.mark.slow)])
    def test_each_permission_and_pair_opens_only_its_pages(self, count, client, saved_rows):
        known = {found.codename: found for found in Permission.objects.all()}
        user = User.objects.create_user("operator", is_staff=True)
        client.force_login(user)
        for given in combinations(PERMISSIONS, count):
            user.user_permissions.set([known[name] for name in given])
            seen = {
                (folder, page): response.status_code
                for folder, page, response in self.answers(client, saved_rows)
            }
            wanted = {
                (folder, page): 200 if may(folder, page, set(given)) else 403
                for folder, page in seen
            }
            assert seen == wanted, given

    @pytest.mark.parametrize(
        ("given", "is_done"),
        [
            (["delete_scheduledjob"], False),
            (["view_scheduledjob"], False),
            (["operate_scheduledjob", "delete_scheduledjob"], False),
            (["view_scheduledjob", "delete_scheduledjob"], True),
        ],
    )
    def test_deleting_a_job_requires_the_view_and_delete_permissions(
        self, given, is_done, login, saved_rows
    ):
        scheduled, *_ = saved_rows
        client = login(*given)
        client.post(f"{LIST}{scheduled.pk}/delete/", {"post": "yes"})
        assert ScheduledJob.objects.exists() is not is_done

    @pytest.mark.parametrize(
        ("given", "is_done"),
        [
            (["operate_scheduledjob"], False),
            (["view_scheduledjob"], False),
            (["operate_scheduledjob", "delete_scheduledjob"], False),
            (["view_scheduledjob", "operate_scheduledjob"], True),
        ],
    )
    def test_cancelling_a_job_requires_the_view_and_operate_permissions(
        self, given, is_done, login, saved_rows
    ):
        scheduled, *_ = saved_rows
        data = {"action": "cancel_selected", "_selected_action": scheduled.pk}
        login(*given).post(LIST, data)
        scheduled.refresh_from_db()
        assert (scheduled.status == Status.CANCELLED) is is_done

    @pytest.mark.parametrize(
        "given", ["change_scheduledjob", "change_pausedqueue", "change_worker"]
    )
    def test_the_change_permission_changes_no_row(self, given, login, saved_rows):
        client = login(given, "view_scheduledjob", "operate_scheduledjob", "pause_queue")
        for folder, row in zip((LIST, QUEUES, WORKERS), saved_rows, strict=True):
            before = type(row).objects.values().get()
            client.post(f"{folder}{row.pk}/change/", {"queue_name": "other", "reason": "x"})
            assert type(row).objects.values().get() == before


PAGES = ("change", "delete", "history")


def may(folder, page, given):
    """Return whether a user with the permissions `given` may open a page."""
    sees_jobs = bool(given & {"view_scheduledjob", "change_scheduledjob"})
    pauses = "pause_queue" in given
    if folder == LIST:
        may_add = sees_jobs and "add_scheduledjob" in given
        return {"add": may_add, "delete": sees_jobs and "delete_scheduledjob" in given}.get(
            page, sees_jobs
        )
    if folder == QUEUES:
        sees_queues = pauses or bool(given & {"view_pausedqueue", "change_pausedqueue"})
        return {"add": pauses, "delete": False}.get(page, sees_queues)
    sees_workers = bool(given & {"view_worker", "change_worker"})
    return {"add": False, "delete": False}.get(page, sees_workers)


class TestProbingQueries:
    @pytest.fixture(autouse=True)
    def sensitive_job(self):
        """Schedule a job with the secret in every hidden column."""
        scheduled = schedule_job("1h", pay, args=[5], kwargs={"card": SECRET})
        ScheduledJob.objects.update(
            return_value=SECRET, error=SECRET, unique_key=SECRET, options={"timeout": SECRET}
        )
        return scheduled

    @pytest.mark.parametrize(
        "column", ["args", "kwargs", "return_value", "error", "unique_key", "options"]
    )
    @pytest.mark.parametrize(
        "lookup",
        ["", "__exact", "__startswith", "__contains", "__icontains", "__regex", "__gt", "__in"],
    )
    def test_filters_on_hidden_columns_answer_right_and_wrong_guesses_alike(
        self, column, lookup, login
    ):
        client = login("view_scheduledjob")
        stored = ScheduledJob.objects.values_list(column, flat=True).get()
        text = stored if isinstance(stored, str) else Stored(repr(stored))
        answers = [
            client.get(LIST, {f"{column}{lookup}": guess}) for guess in (text, text[:3], "wrong")
        ]
        assert {answer.status_code for answer in answers} == {400}
        assert len({answer.content for answer in answers}) == 1

    @pytest.mark.parametrize(
        "lookup",
        [
            "failed_attempts__traceback__contains", "current_progress__log__contains",
            "current_progress__message",
            "args_start__startswith", "kwargs_start__contains", "is_paused",
            "content_type__app_label", "failed_attempts__job__args__contains",
        ],
    )  # fmt: skip
    def test_filters_on_related_rows_and_annotations_are_refused(self, lookup, login):
        client = login("view_scheduledjob")
        assert client.get(LIST, {lookup: SECRET}).status_code == 400

    def test_a_search_does_not_find_hidden_values(self, login):
        client = login("view_scheduledjob")
        for guess in (SECRET, SECRET[:3]):
            assert listed(client.get(LIST, {"q": guess})) == []

    def test_an_order_by_hidden_columns_is_ignored(self, login, sensitive_job):
        other = schedule_job("1h", pay, args=[5], kwargs={"card": "0"})
        client = login("view_scheduledjob")
        for order in ("1", "-1", "5", "kwargs", "-error"):
            assert listed(client.get(LIST, {"o": order})) == [other.pk, sensitive_job.pk]

    def test_a_to_field_parameter_on_hidden_columns_is_refused(self, login):
        client = login("view_scheduledjob")
        for column in ("args", "error", "unique_key"):
            assert client.get(LIST, {"_to_field": column}).status_code == 400

    @pytest.mark.parametrize("column", ["status", "queue_name", "callable_name", "worker"])
    def test_filters_on_visible_columns_work(self, column, login, sensitive_job):
        client = login("view_scheduledjob")
        value = getattr(sensitive_job, column)
        assert listed(client.get(LIST, {column: value})) == [sensitive_job.pk]
        assert listed(client.get(LIST, {f"{column}__exact": f"{value}x"})) == []


QUERIES = [
    "args__regex=(", "status__exact=%00", "status=%00", "queue_name=%00", "callable_name=%ff%fe",
    "q=%00", "q=%ed%a0%80", "q=" + "9" * 5000, "q='\"%5c%25_", "q=" + "x" * 5000, "q=-1",
    "q=%d9%a3", "p=%00", "p=-1", "p=abc", "p=" + "9" * 50, "o=%00", "o=abc", "o=-99.1.%00",
    "all=%00", "e=1", "_facets=True", "_popup=1", "_to_field=%00", "_to_field=id", "id=abc",
    "id__exact=1", "pk=1", "id=" + "9" * 50, "id__in=1,a", "status__in=%00", "status__isnull=maybe",
    "scheduled_at__year=abc", "scheduled_at__gte=%00", "content_type=abc", "content_type__exact=1",
    "is_paused=%00", "args_start=%00", "__=1", "__exact=", "=", "%00=%00", "status__exact",
    "status__exact__exact=x", "worker__exact=%f0%9f%92%a9", "object_id=%00", "a" * 5000,
    "_changelist_filters=%00",
    "password=x", "log__text=(", "reason__regex=(", "seen_at__year=(", "sessions__contains=%00",
    "pid=abc", "name__regex=(", "queue_name__regex=(",
]  # fmt: skip


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("folder", [LIST, QUEUES, WORKERS])
def test_no_query_string_causes_a_server_error(folder, query, admin_client):
    scheduled = schedule_job("1h", jobs.echo)
    pause_queue("mail")
    pages = {LIST: scheduled.pk, QUEUES: "mail", WORKERS: 1}
    for page in ("", f"{pages[folder]}/change/"):
        assert admin_client.get(f"{folder}{page}?{query}").status_code < 500


@pytest.mark.parametrize(
    "key", ["abc", "_00", "-1", "9" * 50, "_", "_5F", "1.5", "%ff", "__", "a" * 500]
)
@pytest.mark.parametrize("folder", [LIST, QUEUES, WORKERS])
def test_no_primary_key_in_the_url_causes_a_server_error(folder, key, admin_client):
    for page in PAGES:
        assert admin_client.get(f"{folder}{key}/{page}/").status_code < 500


def nested(opening, closing):
    return Stored(opening * DEEP + closing * DEEP)


UNKNOWN_ALIAS = (
    '{"timeout": {"__type__": "model", "model": "shop.order", "pk": 1, "using": "gone"}}'
)
ROWS = {
    "deep args": {"args": nested("[", "]")},
    "deep kwargs": {"kwargs": nested('{"a":', "}")},
    "deep and cut": {"args": Stored("[" * DEEP)},
    "deep options": {"options": nested("[", "]")},
    "deep return value": {"return_value": nested("[", "]")},
    "deep tags": {"args": Stored('[{"__type__": "tuple", "value": ' * 100_000)},
    "options of an unknown alias": {"options": Stored(UNKNOWN_ALIAS)},
    "args of an unknown alias": {"args": Stored(UNKNOWN_ALIAS)},
    "options that are none": {"options": Stored("5")},
    "unknown options": {"options": Stored('{"colour": "red"}')},
    "options that make no sense": {"options": Stored('{"timeout": {"a": [1e999]}}')},
    "tags without a value": {"args": Stored('[{"__type__": "model"}, {"__type__": "pickle"}]')},
    "tags that are no texts": {"args": Stored('[{"__type__": []}, {"__type__": {"a": 1}}]')},
    "unknown tags": {"kwargs": Stored('{"__type__": "x", "value": 1}')},
    "huge numbers": {"args": Stored("[" + "9" * 10_000 + ", 1e999, NaN]")},
    "no json": {"args": Stored(""), "kwargs": Stored("\\"), "return_value": Stored("{")},
    "a number for a dictionary": {"kwargs": Stored("5"), "args": Stored('"text"')},
    "half a surrogate pair": {"args": Stored('["\\ud800"]'), "return_value": Stored('"\\udc00"')},
    "NUL": {"args": Stored('["\\u0000"]')},
    "an object in an unknown database": {"object_database": "gone"},
    "an impossible object": {"object_id": "\n"},
    "a name that is none": {"callable_name": ""},
    "a name of markup": {"callable_name": "<script>alert(1)</script>.x"},
    "a name of a module": {"callable_name": "tests.shop.jobs.sys"},
    "a name of nothing": {"callable_name": "....."},
    "a private method": {"callable_name": "_secret"},
    "an unknown method": {"callable_name": "no_method"},
}  # fmt: skip


@pytest.mark.parametrize("changes", ROWS.values(), ids=ROWS)
@pytest.mark.parametrize(
    "target", [jobs.take, pay, log_in], ids=["open", "sensitive in part", "sensitive"]
)
def test_no_stored_row_causes_a_server_error(changes, target, admin_client):
    order = Order.objects.create(number="A1")
    scheduled = schedule_job("1h", target, order, args=[SECRET])
    rewrite(status=Status.FAILED, **changes)
    for address in (LIST, *(f"{LIST}{scheduled.pk}/{page}/" for page in PAGES)):
        response = admin_client.get(address)
        assert response.status_code == 200
        assert "<script>alert" not in response.content.decode()
    for action in ("cancel_selected", "cancel_running", "retry_selected", "run_again"):
        data = {"action": action, "_selected_action": scheduled.pk}
        assert admin_client.post(LIST, data).status_code == 302
    admin_client.post(f"{LIST}{scheduled.pk}/delete/", {"post": "yes"})
    assert not ScheduledJob.objects.filter(pk=scheduled.pk).exists()


def test_a_removed_content_type_causes_no_server_error(admin_client, order):
    scheduled = schedule_job("1h", "remind", order)
    gone = ContentType.objects.create(app_label="gone", model="gone")
    ScheduledJob.objects.update(content_type=gone)
    for address in (LIST, *(f"{LIST}{scheduled.pk}/{page}/" for page in PAGES)):
        assert admin_client.get(address).status_code == 200
