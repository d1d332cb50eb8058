"""The form that schedules a job, and the one that duplicates a job."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from urllib.parse import urlencode

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.models import ADDITION, CHANGE, LogEntry

from django_future import ScheduledJob, clock, job, schedule_job
from django_future.admin.job_form.call_text import MAX_TEXT_LENGTH, NotACall, read_call
from django_future.admin.job_form.catalogue import known_handlers
from django_future.serialization import Stored
from django_future.status import Status
from tests.shop import decorated, jobs, tasks
from tests.shop.models import Order, Parcel, Subscription
from tests.support.admin_pages import LIST, UNPICKLED, Suitcase, body, page_of
from tests.support.busy_database import rival_writes_after_first_read

pytestmark = pytest.mark.django_db

ADD = f"{LIST}add/"
GREET = "tests.shop.decorated.greet"
REMIND = "tests.shop.decorated.remind"
ALLOWED = ("add_scheduledjob", "view_scheduledjob")


@job(sensitive_arguments=["card"])
def pay(amount, card="none"):
    """Take a card number."""


@job
def carry(*args, **kwargs):
    """Take anything."""


@job(unique=True)
def count_once(number):
    """Run once for each number."""


@job(unique=True, unique_replace=True)
def count_last(number):
    """Run once for each number, at the latest time."""


class Registered(admin.ModelAdmin):  # type: ignore[type-arg]
    """Shows all objects of a model."""

    def has_module_permission(self, request):
        return False  # the URLs of the site do not have its pages


class OwnOrders(Registered):
    """Shows the orders A1 and A2, of which A2 may not be viewed."""

    def get_queryset(self, request):
        return super().get_queryset(request).filter(number__in=["A1", "A2"])

    def has_view_permission(self, request, obj=None):
        return super().has_view_permission(request, obj) and getattr(obj, "number", "") != "A2"


@pytest.fixture(autouse=True)
def _registered():
    models = [Order, Parcel, Subscription]
    admin.site.register(models, Registered)
    yield
    admin.site.unregister(models)


@pytest.fixture
def own_orders(_registered):
    """Register an admin that shows only some orders."""
    admin.site.unregister(Order)
    admin.site.register(Order, OwnOrders)


@pytest.fixture
def not_registered(_registered):
    """Remove the admin of the orders."""
    admin.site.unregister(Order)
    yield
    admin.site.register(Order, Registered)


def values(handler=GREET, arguments="'Ada'", when="3h", **others):
    given = {"content_type": "", "object_id": "", "queue_name": "", "priority": "", "expires": ""}
    return given | {"handler": handler, "arguments": arguments, "when": when, **others}


def errors(client, address=ADD, **given):
    """Post a form that is refused, and return the fields with an error."""
    before = ScheduledJob.objects.count()
    response = client.post(address, values(**given))
    assert response.status_code == 200, "the form was accepted"
    assert ScheduledJob.objects.count() == before
    return response.context["adminform"].form.errors


def added(client, address=ADD, **given):
    """Post a form, and return the job that it schedules."""
    before = set(ScheduledJob.objects.values_list("pk", flat=True))
    response = client.post(address, values(**given))
    assert response.status_code == 302, response.context["adminform"].form.errors
    new = ScheduledJob.objects.exclude(pk__in=before).get()
    assert response.url == page_of(new)
    return new


def duplicate_of(scheduled):
    return f"{LIST}{scheduled.pk}/duplicate/"


def shown_values(client, address):
    response = client.get(address)
    assert response.status_code == 200
    form = response.context["adminform"].form
    found = {name: form[name].value() for name in form.fields}
    return {name: "" if value is None else value for name, value in found.items()}


class TestPermission:
    @pytest.mark.parametrize("given", [[], ["add_scheduledjob"], ["view_scheduledjob"]])
    def test_adding_requires_the_add_and_view_permissions(self, given, login):
        client, scheduled = login(*given), schedule_job("1h", decorated.greet, args=["Ada"])
        for address in (ADD, duplicate_of(scheduled)):
            assert client.get(address).status_code == 403
            assert client.post(address, values()).status_code == 403
        assert ScheduledJob.objects.count() == 1

    def test_a_user_with_both_permissions_adds_a_job(self, login):
        client = login(*ALLOWED)
        assert "Schedule a job" in body(client.get(ADD))
        assert added(client).callable_name == GREET

    def test_the_list_has_a_button_only_for_users_who_may_add(self, login):
        assert ADD not in body(login("view_scheduledjob").get(LIST))

    def test_the_list_has_a_button_for_users_who_may_add(self, login):
        assert ADD in body(login(*ALLOWED).get(LIST))


class TestAdding:
    def test_a_job_is_signed_and_runs_what_the_form_says(self, admin_client):
        new = added(
            admin_client, arguments="'Ada', times=2", queue_name="mail", priority="7", expires="1d"
        )
        assert (new.callable_name, new.args, new.kwargs) == (GREET, ["Ada"], {"times": 2})
        assert (new.queue_name, new.priority) == ("mail", 7)
        assert new.expires_at - new.scheduled_at == timedelta(days=1)
        assert new.is_signed

    def test_empty_fields_have_the_values_of_the_handler(self, admin_client, order):
        new = added(
            admin_client, handler=REMIND, arguments="", content_type="shop.order",
            object_id=order.pk,
        )  # fmt: skip
        assert (new.queue_name, new.priority) == ("mail", 5)
        assert new.expires_at - new.scheduled_at == timedelta(days=2)
        assert new.content_object == order

    def test_the_history_says_who_added_the_job(self, admin_client, admin_user):
        new = added(admin_client)
        entry = LogEntry.objects.get()
        assert (entry.user, entry.action_flag, entry.object_id) == (
            admin_user, ADDITION, str(new.pk)
        )  # fmt: skip

    def test_arguments_are_accepted_as_a_json_object(self, admin_client):
        new = added(admin_client, arguments='{"name": "Ada", "times": 3}')
        assert (new.args, new.kwargs) == ([], {"name": "Ada", "times": 3})

    def test_a_date_is_in_the_zone_of_the_user(self, admin_client):
        new = added(admin_client, when="2030-01-31 09:00")
        assert clock.from_row(new.scheduled_at) == datetime(2030, 1, 31, 8, tzinfo=UTC)

    def test_a_job_may_never_expire(self, admin_client):
        assert added(admin_client, expires="never").expires_at is None

    def test_the_short_name_of_a_handler_is_enough_if_it_is_the_only_one(self, admin_client):
        assert added(admin_client, handler="decorated.greet").callable_name == GREET

    def test_a_method_of_an_object_is_scheduled(self, admin_client, order):
        new = added(
            admin_client, handler="ring", arguments="times=2", content_type="shop.order",
            object_id=order.pk,
        )  # fmt: skip
        assert (new.callable_name, new.content_object) == ("ring", order)

    def test_a_task_is_scheduled(self, admin_client):
        new = added(admin_client, handler="tests.shop.tasks.add", arguments="1, b=2")
        assert (new.args, new.kwargs, new.task_backend) == ([1], {"b": 2}, "default")

    def test_a_unique_job_is_not_added_twice(self, admin_client):
        name = f"{__name__}.count_once"
        first = added(admin_client, handler=name, arguments="1")
        response = admin_client.post(ADD, values(handler=name, arguments="1"))
        assert response.url == page_of(first)
        assert ScheduledJob.objects.count() == 1
        assert list(LogEntry.objects.values_list("action_flag", flat=True)) == [CHANGE, ADDITION]

    def test_a_job_is_moved_by_a_user_who_may_operate_if_the_handler_replaces(self, login):
        old = schedule_job("5d", count_last, args=[1])
        client = login(*ALLOWED, "operate_scheduledjob")
        given = values(f"{__name__}.count_last", "1", "2030-01-31 09:00")
        response = client.post(ADD, given, follow=True)
        old.refresh_from_db()
        assert clock.from_row(old.scheduled_at) == datetime(2030, 1, 31, 8, tzinfo=UTC)
        assert ScheduledJob.objects.count() == 1
        text = LogEntry.objects.get().get_change_message()
        assert f"Job {old.pk} was moved to 2030-01-31 09:00:00" in text
        assert [str(message) for message in response.context["messages"]] == [text]

    def test_a_job_is_not_moved_by_a_user_who_may_not_operate(self, login):
        old = schedule_job("5d", count_last, args=[1])
        client = login(*ALLOWED)
        found = errors(client, handler=f"{__name__}.count_last", arguments="1")
        assert "you may not move it" in found["__all__"][0]
        due_at = old.scheduled_at
        old.refresh_from_db()
        assert old.scheduled_at == due_at
        assert not LogEntry.objects.exists()

    def test_a_user_who_may_not_operate_adds_the_first_job_of_a_handler_that_replaces(self, login):
        client = login(*ALLOWED)
        assert added(client, handler=f"{__name__}.count_last", arguments="1").args == [1]

    def test_a_running_job_is_not_said_to_be_moved(self, admin_client):
        old = schedule_job("5d", count_last, args=[1])
        ScheduledJob.objects.update(status=Status.RUNNING)
        given = values(f"{__name__}.count_last", "1")
        assert admin_client.post(ADD, given).url == page_of(old)
        assert "moved" not in LogEntry.objects.get().get_change_message()

    def test_the_url_fills_the_form(self, admin_client, order):
        given = {"handler": REMIND, "content_type": "shop.order", "object_id": order.pk}
        shown = shown_values(admin_client, f"{ADD}?{urlencode(given)}")
        assert shown["content_type"] == "shop.order"
        assert shown["object_id"] == str(order.pk)

    def test_the_form_lists_handlers_with_signature_and_docstring(self, admin_client):
        text = body(admin_client.get(ADD))
        assert f"<dt><code>{GREET}(name: str, *, times: int = 1)</code></dt>" in text
        assert "<dd>Greet a person.</dd>" in text
        assert f'<option value="{GREET}">' in text

    @pytest.mark.parametrize("method", ["get", "post"])
    def test_the_page_runs_few_queries(
        self, method, admin_client, django_assert_max_num_queries, order
    ):
        given = values(arguments="", content_type="shop.order", object_id=order.pk)
        with django_assert_max_num_queries(8):
            getattr(admin_client, method)(ADD, given)


class TestMistakes:
    def test_the_times_of_a_mistake_are_in_the_current_zone(self, admin_client, settings):
        settings.USE_TZ, settings.TIME_ZONE = True, "Asia/Tokyo"
        given = {"when": "2030-01-01 09:00", "expires": "2030-01-01 08:00"}
        [text] = errors(admin_client, **given)["expires"]
        assert "2030-01-01 08:00:00+09:00" in text
        assert "the scheduled time 2030-01-01 09:00:00+09:00" in text

    @pytest.mark.parametrize(
        ("field", "given"),
        [
            ("handler", {"handler": ""}),
            ("handler", {"handler": "os.system", "arguments": "'reboot'"}),
            ("handler", {"handler": "tests.shop.jobs.trace"}),
            ("handler", {"handler": "tests.shop.hostile.anything"}),
            ("handler", {"handler": "no.such.module"}),
            ("handler", {"handler": "save"}),
            ("handler", {"handler": "delete"}),
            ("handler", {"handler": "x" * 10**6}),
            ("arguments", {"arguments": ""}),
            ("arguments", {"arguments": "'Ada', colour=1"}),
            ("arguments", {"arguments": "name=__import__('os')"}),
            ("arguments", {"arguments": "name=open('/etc/passwd')"}),
            ("arguments", {"arguments": "name=pickle.loads(b'')"}),
            ("arguments", {"arguments": 'name={"__type__": "pickle", "value": "x"}'}),
            ("arguments", {"arguments": '{"name": {"__type__": "pickle", "value": "x"}}'}),
            ("arguments", {"arguments": "x" * 2**20}),
            ("arguments", {"arguments": "name=" + "[" * 50_000 + "]" * 50_000}),
            ("arguments", {"arguments": '{"name":' * 20_000 + "1" + "}" * 20_000}),
            ("arguments", {"arguments": "name=" + "9" * 10_000}),
            ("arguments", {"arguments": "name=" + "-" * 50_000 + "1"}),
            ("arguments", {"arguments": "name=1" + "+1" * 20_000}),
            ("arguments", {"arguments": "name=...) or (1"}),
            ("arguments", {"arguments": "**{'name': 1}"}),
            ("arguments", {"arguments": "name=1, name=2"}),
            ("arguments", {"arguments": "name=1j"}),
            ("when", {"when": ""}),
            ("when", {"when": "soon"}),
            ("when", {"when": "99999d99999d"}),
            ("when", {"when": "9999999d"}),
            ("when", {"when": "x" * 10_000}),
            ("expires", {"expires": "soon"}),
            ("expires", {"expires": "0s"}),
            ("queue_name", {"queue_name": "a\x1bb"}),
            ("priority", {"priority": "101"}),
            ("priority", {"priority": "high"}),
            ("content_type", {"content_type": "no.model"}),
            ("object_id", {"content_type": "shop.order"}),
            ("object_id", {"content_type": "shop.order", "object_id": "5"}),
            ("object_id", {"content_type": "shop.order", "object_id": "x"}),
            ("object_id", {"content_type": "shop.order", "object_id": "a\0b"}),
            ("object_id", {"content_type": "shop.order", "object_id": "9" * 50}),
            ("object_id", {"content_type": "shop.parcel", "object_id": "x"}),
            ("object_id", {"handler": "ring", "arguments": ""}),
            ("content_type", {"object_id": "5"}),
        ],
        ids=lambda value: str(value)[:60],
    )
    def test_a_mistake_is_shown_at_its_field_and_nothing_is_written(
        self, field, given, admin_client
    ):
        assert list(errors(admin_client, **given)) == [field]
        assert not LogEntry.objects.exists()

    def test_the_message_names_the_argument(self, admin_client):
        found = errors(admin_client, arguments="'Ada', times=two")
        assert found["arguments"][0].startswith("Argument times: This is not a literal")

    def test_a_similar_handler_is_proposed(self, admin_client):
        found = errors(admin_client, handler="gret")
        assert "Did you mean 'greet'?" in found["handler"][0]

    def test_an_object_of_a_model_that_the_user_may_not_view_is_refused(self, login, order):
        client = login(*ALLOWED)
        found = errors(client, handler=REMIND, content_type="shop.order", object_id=order.pk)
        assert list(found) == ["content_type"]

    def test_only_models_of_the_site_are_offered(self, admin_client):
        form = admin_client.get(ADD).context["adminform"].form
        offered = {label for label, _ in form.fields["content_type"].choices if label}
        assert {"shop.order", "shop.parcel", "auth.user"} <= offered
        assert all(admin.site.is_registered(apps.get_model(label)) for label in offered)
        assert not [label for label in offered if label.startswith("django_future.")]

    @pytest.mark.usefixtures("not_registered")
    def test_an_object_of_a_model_that_is_not_registered_is_refused(self, login, order):
        client = login(*ALLOWED, "view_order")
        found = errors(client, handler=REMIND, content_type="shop.order", object_id=order.pk)
        assert list(found) == ["content_type"]

    def test_the_view_permission_for_the_model_allows_its_objects(self, login, order):
        client = login(*ALLOWED, "view_order")
        new = added(
            client, handler=REMIND, arguments="", content_type="shop.order", object_id=order.pk
        )
        assert new.content_object == order

    def test_a_method_that_is_not_declared_is_refused_for_another_model(self, admin_client):
        found = Subscription.objects.create(customer="Ada")
        refused = errors(
            admin_client, handler="ring", arguments="", content_type="shop.subscription",
            object_id=found.pk,
        )  # fmt: skip
        assert list(refused) == ["object_id"]

    def test_a_task_gets_only_arguments_that_it_takes(self, admin_client):
        given = {"handler": "tests.shop.tasks.add"}
        assert list(errors(admin_client, arguments="1, c=2", **given)) == ["arguments"]
        assert list(errors(admin_client, arguments="date(2030, 1, 1)", **given)) == ["arguments"]


class TestDuplicating:
    def test_the_form_has_the_values_of_the_job_and_makes_an_equal_one(self, admin_client, order):
        old = schedule_job(
            "1h", decorated.remind, order, args=["now"], queue_name="calls", priority=3,
            expires="5h", timeout="5m", max_attempts=4,
        )  # fmt: skip
        shown = shown_values(admin_client, duplicate_of(old))
        assert shown["arguments"] == "'now'"
        new = added(admin_client, duplicate_of(old), **shown | {"expires": ""})
        names = ["callable_name", "args", "kwargs", "options", "queue_name", "priority",
                 "max_attempts", "content_type_id", "object_id"]  # fmt: skip
        assert [getattr(new, name) for name in names] == [getattr(old, name) for name in names]
        assert new.lifetime == timedelta(hours=5)
        assert "duplicate of job" in LogEntry.objects.get().get_change_message()

    def test_changes_replace_the_values(self, admin_client):
        old = schedule_job("1h", decorated.greet, args=["Ada"])
        new = added(admin_client, duplicate_of(old), arguments="'Grace'", when="2h", priority="9")
        assert (new.args, new.priority) == (["Grace"], 9)
        old.refresh_from_db()
        assert old.args == ["Ada"]

    def test_a_job_whose_handler_is_not_declared_is_duplicated(self, admin_client):
        old = schedule_job("1h", jobs.trace)
        new = added(
            admin_client, duplicate_of(old), handler="tests.shop.jobs.trace", arguments="'x'"
        )
        assert new.args == ["x"]

    @pytest.mark.parametrize(
        "value",
        [date(2030, 1, 31), Decimal("1.5"), (1, 2), {"a": 1}, {}, {1, 2}, "it's", -5, None,
         datetime(2030, 1, 1, tzinfo=UTC), timedelta(hours=1), b"x", float("inf")],
        ids=repr,
    )  # fmt: skip
    def test_a_text_that_is_shown_can_be_entered(self, value, admin_client):
        old = schedule_job("1h", carry, args=[value])
        shown = shown_values(admin_client, duplicate_of(old))
        new = added(admin_client, duplicate_of(old), **shown | {"arguments": shown["arguments"]})
        entered = added(admin_client, **shown)
        assert new.args == entered.args == [value]

    def test_sensitive_arguments_are_not_shown_and_must_be_entered(self, admin_client):
        old = schedule_job("1h", pay, args=[5], kwargs={"card": "4111-1111"})
        response = admin_client.get(duplicate_of(old))
        assert "4111" not in body(response)
        shown = shown_values(admin_client, duplicate_of(old))
        assert shown["arguments"] == "5, card=..."
        found = errors(admin_client, duplicate_of(old), **shown)
        assert "card" in found["arguments"][0]
        new = added(admin_client, duplicate_of(old), **shown | {"arguments": "5, card='42'"})
        assert new.kwargs == {"card": "42"}

    def test_a_pickle_is_kept_and_not_loaded_if_the_text_is_unchanged(self, admin_client):
        old = schedule_job("1h", carry, args=[Suitcase()])
        UNPICKLED.clear()
        shown = shown_values(admin_client, duplicate_of(old))
        new = added(admin_client, duplicate_of(old), **shown)
        assert not UNPICKLED
        assert new.is_signed
        assert isinstance(new.args[0], Suitcase)

    def test_a_pickle_is_not_kept_for_another_handler(self, admin_client):
        old = schedule_job("1h", carry, args=[Suitcase()])
        shown = shown_values(admin_client, duplicate_of(old))
        found = errors(admin_client, duplicate_of(old), **shown | {"handler": GREET})
        assert list(found) == ["arguments"]

    def test_empty_fields_have_the_values_of_the_original(self, admin_client, order):
        old = schedule_job("1h", decorated.remind, order, queue_name="odd", priority=9)
        shown = shown_values(admin_client, duplicate_of(old))
        new = added(admin_client, duplicate_of(old), **shown | {"queue_name": "", "priority": ""})
        assert (new.queue_name, new.priority) == ("odd", 9)
        text = body(admin_client.get(duplicate_of(old)))
        assert "Empty for the value of the original." in text
        assert "of the handler" not in text

    def test_another_handler_has_its_own_options(self, admin_client, order):
        old = schedule_job(
            "1h", decorated.greet, args=["Ada"], queue_name="odd", priority=9, max_attempts=4,
            timeout="5m",
        )  # fmt: skip
        bound = {"content_type": "shop.order", "object_id": order.pk, "handler": REMIND}
        shown = shown_values(admin_client, duplicate_of(old))
        new = added(admin_client, duplicate_of(old), **shown | bound)
        assert (new.args, new.queue_name, new.priority) == (["Ada"], "mail", 5)
        assert (new.max_attempts, new.options) == (1, None)
        assert new.lifetime == timedelta(days=2)

    def test_an_entered_option_counts_for_another_handler(self, admin_client):
        old = schedule_job("1h", decorated.greet, args=["Ada"], queue_name="odd", priority=9)
        shown = shown_values(admin_client, duplicate_of(old))
        given = {"handler": f"{__name__}.carry", "priority": "3"}
        new = added(admin_client, duplicate_of(old), **shown | given)
        assert (new.queue_name, new.priority) == (carry.job_options.queue_name, 3)

    def test_another_handler_that_is_unique_is_not_added_twice(self, admin_client):
        old = schedule_job("1h", decorated.greet, args=["Ada"])
        shown = shown_values(admin_client, duplicate_of(old))
        given = shown | {"handler": f"{__name__}.count_once"}
        new = added(admin_client, duplicate_of(old), **given)
        assert admin_client.post(duplicate_of(old), given).url == page_of(new)
        assert ScheduledJob.objects.count() == 2

    def test_a_method_whose_object_is_gone_is_not_duplicated_without_one(self, admin_client, order):
        old = schedule_job("1h", "ring", order)
        Order.objects.all().delete()
        found = errors(admin_client, duplicate_of(old), handler="ring", arguments="")
        assert list(found) == ["object_id"]

    def test_a_task_gets_only_arguments_of_json(self, admin_client):
        old = schedule_job("1h", tasks.add, args=[1])
        shown = shown_values(admin_client, duplicate_of(old))
        found = errors(admin_client, duplicate_of(old), **shown | {"arguments": "date(2030, 1, 1)"})
        assert list(found) == ["arguments"]
        new = added(admin_client, duplicate_of(old), **shown | {"arguments": "(1, 2)"})
        assert new.args == [[1, 2]]

    def test_a_task_keeps_its_backend(self, admin_client, settings):
        backend = settings.TASKS["default"]
        settings.TASKS = {"default": backend, "other": backend}
        result = tasks.add.using(backend="other").enqueue(1)
        old = ScheduledJob.objects.get(pk=result.id)
        shown = shown_values(admin_client, duplicate_of(old))
        for arguments in (shown["arguments"], "2"):
            new = added(admin_client, duplicate_of(old), **shown | {"arguments": arguments})
            assert new.task_backend == "other"
            assert new.is_signed

    def test_another_task_has_its_own_backend(self, admin_client, settings):
        backend = settings.TASKS["default"]
        settings.TASKS = {"default": backend, "other": backend}
        result = tasks.add.using(backend="other").enqueue(1)
        old = ScheduledJob.objects.get(pk=result.id)
        shown = shown_values(admin_client, duplicate_of(old))
        given = shown | {"handler": "tests.shop.tasks.echo"}
        assert added(admin_client, duplicate_of(old), **given).task_backend == "default"

    def test_a_job_that_is_not_signed_is_not_duplicated(self, admin_client):
        old = schedule_job("1h", decorated.greet, args=["Ada"])
        ScheduledJob.objects.update(args=Stored('["Eve"]'))
        for response in (
            admin_client.get(duplicate_of(old)),
            admin_client.post(duplicate_of(old), values()),
        ):
            assert response.url == page_of(old)
        assert ScheduledJob.objects.count() == 1

    def test_a_job_whose_object_the_user_may_not_view_is_not_duplicated(self, login, order):
        old = schedule_job("1h", decorated.remind, order)
        client = login(*ALLOWED)
        assert client.post(duplicate_of(old), values()).url == page_of(old)
        assert ScheduledJob.objects.count() == 1

    @pytest.mark.usefixtures("not_registered")
    def test_a_job_whose_object_is_of_a_model_that_is_not_registered_is_duplicated(
        self, login, order
    ):
        old = schedule_job("1h", decorated.remind, order)
        client = login(*ALLOWED, "view_order")
        new = added(client, duplicate_of(old), **shown_values(client, duplicate_of(old)))
        assert new.content_object == order

    @pytest.mark.usefixtures("own_orders")
    @pytest.mark.parametrize("number", ["A2", "B1"])
    def test_a_job_whose_object_the_admin_of_the_model_hides_is_not_duplicated(self, number, login):
        hidden = Order.objects.create(number=number)
        old = schedule_job("1h", decorated.remind, hidden)
        client = login(*ALLOWED, "view_order")
        given = values("ring", "5", content_type="shop.order", object_id=hidden.pk)
        assert client.get(duplicate_of(old)).url == page_of(old)
        assert client.post(duplicate_of(old), given).url == page_of(old)
        assert ScheduledJob.objects.count() == 1

    @pytest.mark.usefixtures("own_orders")
    def test_a_job_whose_object_the_admin_of_the_model_shows_is_duplicated(self, login, order):
        old = schedule_job("1h", decorated.remind, order)
        client = login(*ALLOWED, "view_order")
        new = added(client, duplicate_of(old), **shown_values(client, duplicate_of(old)))
        assert new.content_object == order

    @pytest.mark.usefixtures("not_registered")
    @pytest.mark.django_db(databases=["default", "other"])
    def test_a_job_whose_object_is_in_another_database_is_duplicated(self, admin_client):
        far = Order.objects.using("other").create(number="A1")
        old = schedule_job("1h", decorated.remind, far, using="default")
        new = added(
            admin_client, duplicate_of(old), **shown_values(admin_client, duplicate_of(old))
        )
        assert (new.object_id, new.object_database) == (str(far.pk), "other")

    @pytest.mark.usefixtures("own_orders")
    @pytest.mark.django_db(databases=["default", "other"])
    def test_an_object_with_the_same_key_in_another_database_is_not_shown(self, admin_client):
        far = Order.objects.using("other").create(number="A1")
        Order.objects.create(pk=far.pk, number="A1")
        old = schedule_job("1h", decorated.remind, far, using="default")
        assert admin_client.get(duplicate_of(old)).url == page_of(old)

    def test_a_job_whose_object_is_gone_needs_another_object(self, admin_client, order):
        old = schedule_job("1h", decorated.remind, order)
        Order.objects.all().delete()
        shown = shown_values(admin_client, duplicate_of(old))
        assert list(errors(admin_client, duplicate_of(old), **shown)) == ["object_id"]

    @pytest.mark.parametrize("key", ["0", "abc", "9" * 50, "_00"])
    def test_a_job_that_does_not_exist_is_not_duplicated(self, key, admin_client):
        assert admin_client.get(f"{LIST}{key}/duplicate/").status_code == 302


class TestKnownHandlers:
    def test_they_are_those_that_the_code_declares(self, settings):
        settings.DJANGO_FUTURE = {
            "CALLABLES": ["tests.shop.jobs.echo", "shutil", "no.such.path"],
            "RECURRING": [{"callable": "tests.shop.jobs.fail", "cron": "0 9 * * *"}],
        }
        known = known_handlers()
        declared = [GREET, REMIND, "ring", "tests.shop.tasks.add", f"{__name__}.pay"]
        assert known.keys() >= {*declared, "tests.shop.jobs.echo", "tests.shop.jobs.fail"}
        assert known.keys().isdisjoint({"tests.shop.jobs.trace", "remind", "shutil.rmtree"})

    def test_the_default_of_a_sensitive_argument_is_hidden(self):
        assert known_handlers()[f"{__name__}.pay"].signature == "(amount, card=...)"

    def test_the_job_is_not_part_of_the_signature(self):
        assert known_handlers()["tests.shop.decorated.report"].signature == "(text: str)"

    def test_a_task_is_known_by_its_function(self):
        assert known_handlers()["tests.shop.tasks.add"].summary == "Return a sum."
        assert tasks.add.func.__doc__


class TestCallText:
    @pytest.mark.parametrize(
        ("text", "wanted"),
        [
            ("", ([], {})),
            ("1,", ([1], {})),
            ("1, a='x'", ([1], {"a": "x"})),
            ("a=1,\n  b=[true, null]", ([], {"a": 1, "b": [True, None]})),
            ('{"a": 1}', ([], {"a": 1})),
            ("{'a': 1}", ([{"a": 1}], {})),
            ('{"a": 1},', ([{"a": 1}], {})),
            ("date(2030, 1, 31)", ([date(2030, 1, 31)], {})),
            ("d=datetime.date(2030, 1, 31)", ([], {"d": date(2030, 1, 31)})),
            ("(1, -2.5)", ([(1, -2.5)], {})),
        ],
    )
    def test_it_is_read_as_python_or_json(self, text, wanted):
        assert read_call(text) == wanted

    @pytest.mark.parametrize(
        "text",
        ["a.b", "f()", "*[1]", "1 + 1", "[x for x in 'a']", "lambda: 1", "a := 1", ")", "1)("],
    )
    def test_other_code_is_refused(self, text):
        with pytest.raises(NotACall):
            read_call(text)

    def test_the_length_is_limited(self):
        with pytest.raises(NotACall, match="limit"):
            read_call("1" * (MAX_TEXT_LENGTH + 1))


@pytest.mark.only_on("sqlite", reason="only SQLite refuses to write after a read that is old")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("handler", ["count_last", "count_once", "pay"])
def test_a_job_is_scheduled_although_a_rival_writes(login, handler):
    if handler != "pay":
        schedule_job("5d", f"{__name__}.{handler}", args=[1])
    client = login(*ALLOWED, "operate_scheduledjob")
    with rival_writes_after_first_read(ScheduledJob._meta.db_table):
        response = client.post(ADD, values(f"{__name__}.{handler}", "1"))
    assert response.status_code == 302
