"""The jobs of an object on the page of the object in the project's own admin."""

import re
import uuid
from html import unescape

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.core import checks
from django.db import connection, models
from django.test.utils import CaptureQueriesContext, isolate_apps
from django.urls import path

from django_future import ScheduledJob, schedule_job
from django_future.admin import JobInline, ScheduledJobAdmin
from django_future.status import Status
from tests.shop import jobs
from tests.shop.models import ExpressOrder, Gift, Order, Parcel, Subscription, Trace
from tests.support.admin_pages import LIST, body, listed, page_of
from tests.support.rows import rewrite

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


class WithJobs(admin.ModelAdmin):  # type: ignore[type-arg]
    inlines = [JobInline]
    save_as = True


office = admin.AdminSite(name="office")
bare = admin.AdminSite(name="bare")
for model in (Order, ExpressOrder, Parcel, Subscription, Gift, Trace):
    office.register(model, WithJobs)
bare.register(Order, WithJobs)
office.register(ScheduledJob, ScheduledJobAdmin)
urlpatterns = [
    path("office/", office.urls),
    path("bare/", bare.urls),
    path("admin/", admin.site.urls),
]


def address_of(found, page="change", site="office"):
    return f"/{site}/shop/{found._meta.model_name}/{found.pk}/{page}/".replace("-", "-")


def shown(client, found, site="office"):
    return body(client.get(address_of(found, site=site)))


@pytest.mark.parametrize("model", [Order, ExpressOrder, Parcel, Subscription, Gift])
def test_the_page_of_an_object_shows_its_jobs_and_no_others(model, admin_client):
    found, other = model.objects.create(), model.objects.create()
    own, foreign = schedule_job("3h", jobs.take, found), schedule_job("3h", jobs.take, other)
    text = shown(admin_client, found)
    assert f'href="/office/django_future/scheduledjob/{own.pk}/change/"' in text
    assert f'href="/office/django_future/scheduledjob/{foreign.pk}/change/"' not in text
    assert "tests.shop.jobs.take" in text


def test_the_newest_ten_jobs_are_shown_with_a_link_to_all(admin_client, order):
    made = [schedule_job("3h", jobs.take, order) for _ in range(12)]
    text = shown(admin_client, order)
    assert [f"scheduledjob/{job.pk}/change" in text for job in made] == [False] * 2 + [True] * 10
    [url] = re.findall(r'href="([^"]*)">All jobs of this object<', text)
    schedule_job("3h", jobs.take, Trace.objects.create(pk=order.pk))
    assert sorted(listed(admin_client.get(unescape(url)))) == [job.pk for job in made]


def test_a_button_opens_the_form_with_the_object_filled_in(admin_client, order):
    text = shown(admin_client, order)
    assert "Schedule a job for this order" in text
    (url,) = [part.partition('"')[0] for part in text.split('class="button" href="')[1:]]
    form = admin_client.get(url.replace("&amp;", "&")).context["adminform"].form
    assert (form["content_type"].value(), form["object_id"].value()) == (
        "shop.order", str(order.pk)
    )  # fmt: skip


def test_the_inline_costs_two_queries(admin_client, order):
    for _ in range(10):
        schedule_job("3h", jobs.take, order)
    shown(admin_client, order)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        shown(admin_client, order)
    own = [query["sql"] for query in queries if "django_future" in query["sql"]]
    assert len(own) <= 2, own


@pytest.mark.django_db(databases="__all__")
def test_jobs_in_another_database_are_shown_and_added(admin_client, order, settings):
    settings.DATABASE_ROUTERS = ["tests.support.routers.JobsApart"]
    scheduled = schedule_job("3h", jobs.take, order)
    assert scheduled._state.db == "other"
    assert f"scheduledjob/{scheduled.pk}/change" in shown(admin_client, order)
    data = {
        "handler": "ring", "arguments": "", "content_type": "shop.order", "object_id": order.pk,
        "when": "3h", "expires": "", "queue_name": "", "priority": "",
    }  # fmt: skip
    response = admin_client.post("/office/django_future/scheduledjob/add/", data)
    assert response.status_code == 302
    new = ScheduledJob.objects.using("other").latest("pk")
    assert (new.content_object, new.is_signed) == (order, True)


@pytest.mark.django_db(databases="__all__")
def test_an_object_of_another_database_has_its_own_jobs(admin_client):
    here, there = (
        Order.objects.using(name).create(pk=7, number=name) for name in ("default", "other")
    )
    own, foreign = (schedule_job("3h", jobs.take, found) for found in (there, here))
    inline = JobInline(Order, office)
    numbers = [row["number"] for row in inline.rows(None, there)]
    assert (own._state.db, foreign._state.db) == ("other", "default")
    assert numbers == [str(own.pk)]  # no link, because the admin shows the jobs of `default`


@pytest.mark.parametrize("given", [["change_order"], ["change_order", "add_scheduledjob"]])
def test_only_users_who_may_view_jobs_see_them(given, login, order):
    scheduled = schedule_job("3h", jobs.take, order)
    text = shown(login(*given), order)
    assert f"scheduledjob/{scheduled.pk}" not in text
    assert "Schedule a job" not in text


def test_users_who_may_only_view_jobs_get_no_button(login, order):
    text = shown(login("view_order", "view_scheduledjob"), order)
    assert "No job is bound to this object." in text
    assert "Schedule a job" not in text


@pytest.mark.parametrize(
    "extra",
    [{}, {"jobs_of_object-TOTAL_FORMS": "x"}, {"jobs_of_object-0-status": Status.COMPLETE}],
    ids=str,
)
def test_saving_the_page_changes_the_object_and_no_job(extra, admin_client, order):
    scheduled = schedule_job("3h", jobs.take, order)
    before = ScheduledJob.objects.values().get()
    response = admin_client.post(
        address_of(order), {"number": "B2", "reminders": "1", **extra}, follow=True
    )
    assert "was changed successfully" in body(response)
    order.refresh_from_db()
    assert order.number == "B2"
    assert ScheduledJob.objects.values().get() == before
    assert scheduled.pk == before["id"]


def test_saving_as_new_copies_no_job(admin_client, order):
    schedule_job("3h", jobs.take, order)
    data = {"number": "B2", "reminders": "1", "_saveasnew": "1"}
    assert admin_client.post(address_of(order), data).status_code == 302
    assert Order.objects.count() == 2
    assert ScheduledJob.objects.count() == 1


@pytest.mark.parametrize("model", ["order", "parcel"])
def test_the_page_of_a_new_object_has_no_jobs(model, admin_client):
    address = f"/office/shop/{model}/add/"
    assert "jobs-of-object" not in body(admin_client.get(address))
    data = {"number": "B2", "reminders": "1", "id": str(uuid.uuid4())}
    assert admin_client.post(address, data).status_code == 302


def test_a_popup_is_saved(admin_client, order):
    schedule_job("3h", jobs.take, order)
    address = f"{address_of(order)}?_popup=1"
    assert "jobs-of-object" in body(admin_client.get(address))
    data = {"number": "B2", "reminders": "1", "_popup": "1"}
    assert admin_client.post(address, data).status_code == 200
    order.refresh_from_db()
    assert order.number == "B2"


def test_a_wrong_form_of_the_object_shows_its_errors_and_the_jobs(admin_client, order):
    schedule_job("3h", jobs.take, order)
    text = body(admin_client.post(address_of(order), {"number": "", "reminders": "1"}))
    assert "This field is required." in text
    assert "tests.shop.jobs.take" in text


def test_a_site_without_the_admin_of_jobs_shows_them_without_links(admin_client, order):
    scheduled = schedule_job("3h", jobs.take, order)
    text = shown(admin_client, order, site="bare")
    assert "tests.shop.jobs.take" in text
    assert f"scheduledjob/{scheduled.pk}" not in text
    assert "Schedule a job" not in text


def test_the_checks_of_django_accept_the_inline():
    assert checks.run_checks() == []
    found = WithJobs(Order, office).check()
    assert found == []


@isolate_apps("tests.shop")
def test_the_checks_accept_multi_table_inheritance():
    class BigParcel(Parcel):
        class Meta:
            app_label = "shop"

    assert WithJobs(BigParcel, office).check() == []
    assert isinstance(BigParcel._meta.pk, models.OneToOneField)


@pytest.mark.parametrize(
    "changes",
    [{"status": "failed"}, {"callable_name": "<b>x"}, {"object_database": "gone"}],
    ids=str,
)
def test_no_stored_row_breaks_the_page(changes, admin_client, order):
    schedule_job("3h", jobs.take, order)
    rewrite(**changes)
    assert "<b>x" not in shown(admin_client, order)


def test_other_admins_and_the_list_are_not_affected(admin_client, order):
    scheduled = schedule_job("3h", jobs.take, order)
    assert admin_client.get(page_of(scheduled)).status_code == 200
    assert admin_client.get(LIST).status_code == 200
    assert User.objects.exists()
