"""The pages that pause, resume, trigger and backfill a recurring job."""

import re
from datetime import UTC, datetime

import pytest
from django.contrib.admin.models import LogEntry
from django.db.models.expressions import RawSQL

from django_future import RecurringJob, ScheduledJob, clock, schedule_recurring
from django_future.testing.travel import stopped_clock
from tests.shop import jobs
from tests.support.admin_pages import body
from tests.support.busy_database import rival_writes_after_first_read

pytestmark = pytest.mark.django_db

LIST = "/admin/django_future/recurringjob/"
NOW = datetime(2026, 3, 2, 8, 0, 1, tzinfo=UTC)  # a Monday; 09:00:01 in Berlin
PERIOD = {"start": "2026-03-01 00:00", "end": "2026-03-01 05:30"}


@pytest.fixture(autouse=True)
def monday():
    """Stop the clock on a Monday, a second after nine in Berlin."""
    with stopped_clock(NOW):
        yield


@pytest.fixture
def hourly():
    """Return a recurring job that runs every hour."""
    return schedule_recurring("hourly", jobs.trace, cron="0 * * * *")


@pytest.fixture
def operator(login):
    """Return the client of a user who may pause, resume, trigger and backfill."""
    return login("view_recurringjob", "change_recurringjob")


def address(recurring, page):
    return f"{LIST}{recurring.pk}/{page}/"


def confirmation(page):
    """Return the name and the value of the button that confirms a backfill."""
    return dict(re.findall(r'name="(_confirm)" value="([^"]*)"', body(page)))


def confirm_backfill(client, recurring, **changes):
    """Count the runs of the period, and confirm them with changes of the form."""
    page = client.post(address(recurring, "backfill"), PERIOD)
    data = {**PERIOD, **confirmation(page), **changes}
    return client.post(address(recurring, "backfill"), data, follow=True)


def break_text(recurring, column):
    """Write text that is not UTF-8 with SQL."""
    text = RawSQL("CAST(x'fffe41' AS TEXT)", [])
    RecurringJob.objects.filter(pk=recurring.pk).update(**{column: text})


def test_a_pause_keeps_the_reason_and_the_user(operator, hourly):
    operator.post(address(hourly, "pause"), {"reason": "month end"})
    hourly.refresh_from_db()
    assert hourly.is_paused
    assert hourly.paused_reason == "month end"
    assert hourly.paused_by
    assert LogEntry.objects.get().change_message == "Paused: month end"


def test_the_page_of_a_pause_changes_nothing_when_it_is_opened(operator, hourly):
    assert "Reason" in body(operator.get(address(hourly, "pause")))
    hourly.refresh_from_db()
    assert not hourly.is_paused


def test_a_paused_one_can_be_resumed(operator, hourly):
    hourly.pause()
    operator.post(address(hourly, "resume"))
    assert not RecurringJob.objects.get().is_paused


def test_a_trigger_schedules_a_run(operator, hourly):
    operator.post(address(hourly, "trigger"))
    assert ScheduledJob.objects.filter(recurring=hourly, recurs_at=None).count() == 1


@pytest.mark.parametrize("page", ["resume", "trigger"])
def test_opening_an_address_acts_on_nothing(page, operator, hourly):
    response = operator.get(address(hourly, page), follow=True)
    assert response.redirect_chain == [(f"{LIST}{hourly.pk}/change/", 302)]
    assert "Nothing was done." in body(response)
    assert not ScheduledJob.objects.filter(recurs_at=None).exists()


def test_a_backfill_counts_its_runs_before_it_schedules_them(operator, hourly):
    hourly.backfill("2026-03-01 02:00", "2026-03-01 03:30")
    before = ScheduledJob.objects.count()
    html = body(operator.post(address(hourly, "backfill"), PERIOD))
    assert "4 of 6 instants will get a run." in html
    assert ScheduledJob.objects.count() == before


def test_a_confirmed_backfill_schedules_its_runs(operator, hourly):
    before = ScheduledJob.objects.count()
    confirm_backfill(operator, hourly)
    assert ScheduledJob.objects.count() == before + 6
    assert LogEntry.objects.get().change_message == (
        "Backfilled 6 runs from 2026-03-01 00:00 to 2026-03-01 05:30."
    )


def test_a_confirmed_backfill_counts_again_if_the_period_has_changed(operator, hourly):
    before = ScheduledJob.objects.count()
    html = body(confirm_backfill(operator, hourly, end="2026-03-01 07:30"))
    assert "8 of 8 instants" in html
    assert ScheduledJob.objects.count() == before


def test_a_backfill_of_no_runs_is_not_in_the_history(operator, hourly):
    page = operator.post(address(hourly, "backfill"), PERIOD)
    hourly.backfill(PERIOD["start"], PERIOD["end"])
    response = operator.post(
        address(hourly, "backfill"), {**PERIOD, **confirmation(page)}, follow=True
    )
    assert "0 runs were scheduled." in body(response)
    assert not LogEntry.objects.exists()


def test_a_backfill_of_a_recurring_job_that_was_just_deleted_says_so(operator, hourly, monkeypatch):
    def deleted(recurring, *period):
        RecurringJob.objects.all().delete()
        return found(recurring, *period)

    found = RecurringJob.backfill
    monkeypatch.setattr(RecurringJob, "backfill", deleted)
    assert "was deleted" in body(confirm_backfill(operator, hourly))


@pytest.mark.parametrize("use_tz", [True, False])
def test_the_period_of_a_backfill_is_in_the_current_time_zone(operator, settings, use_tz):
    recurring = schedule_recurring("tokyo", jobs.trace, cron="0 * * * *", timezone="Asia/Tokyo")
    settings.USE_TZ, settings.TIME_ZONE = use_tz, "Europe/Berlin"
    page = operator.post(address(recurring, "backfill"), PERIOD)
    assert "Europe/Berlin" in body(page)
    operator.post(address(recurring, "backfill"), {**PERIOD, **confirmation(page)})
    first = ScheduledJob.objects.order_by("recurs_at").first()
    assert clock.from_row(first.recurs_at) == datetime(2026, 2, 28, 23, tzinfo=UTC)


def test_a_backfill_of_one_run_is_reported_in_the_singular(operator, hourly):
    period = {**PERIOD, "end": "2026-03-01 00:30"}
    page = operator.post(address(hourly, "backfill"), period)
    assert "1 of 1 instant will get" in body(page)
    operator.post(address(hourly, "backfill"), {**period, **confirmation(page)})
    assert "Backfilled 1 run from" in LogEntry.objects.get().change_message


def test_a_backfill_refuses_the_future(operator, hourly):
    period = {**PERIOD, "end": "2026-04-01 00:00"}
    assert "is in the future" in body(operator.post(address(hourly, "backfill"), period))


@pytest.mark.parametrize("page", ["pause", "resume", "trigger", "backfill"])
def test_users_who_may_only_view_are_refused(page, login, hourly):
    client = login("view_recurringjob", "operate_scheduledjob")
    assert client.post(address(hourly, page), PERIOD).status_code == 403
    assert "Run now" not in body(client.get(address(hourly, "change")))


@pytest.mark.parametrize("page", ["pause", "resume", "trigger", "backfill"])
def test_an_unknown_recurring_job_is_not_found(page, operator):
    assert operator.post(f"{LIST}{10**30}/{page}/").status_code == 404


def test_the_page_of_a_declared_one_has_the_buttons(operator, hourly):
    RecurringJob.objects.update(is_declared=True)
    html = body(operator.get(address(hourly, "change")))
    assert all(text in html for text in ("Pause", "Run now", "Backfill"))


@pytest.mark.only_on("sqlite", reason="only SQLite takes a text that is not UTF-8")
@pytest.mark.parametrize(
    "column", ["name", "callable_name", "args", "cron", "timezone", "queue_name", "paused_reason"]
)
@pytest.mark.parametrize("page", ["pause", "backfill", "trigger", "resume", "history"])
def test_each_page_opens_for_a_row_with_text_that_is_not_utf8(operator, hourly, column, page):
    break_text(hourly, column)
    assert operator.get(address(hourly, page)).status_code in {200, 302}
    data = {"reason": "month end", **PERIOD}
    assert operator.post(address(hourly, page), data).status_code in {200, 302}
    assert operator.get(f"{LIST}preview/?id={hourly.pk}").status_code == 200


@pytest.mark.only_on("sqlite", reason="only SQLite refuses to write after a read that is old")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("page", ["pause", "resume", "trigger"])
def test_a_button_survives_a_rival_that_writes(operator, hourly, page):
    if page == "resume":
        hourly.pause()
    with rival_writes_after_first_read(RecurringJob._meta.db_table):
        operator.post(address(hourly, page))
    assert LogEntry.objects.count() == 1


@pytest.mark.parametrize("action", ["resume_selected", "trigger_selected", "pause_selected"])
def test_an_action_says_that_a_selected_one_has_left_the_filter(operator, hourly, action):
    data = {"action": action, "_selected_action": hourly.pk, "post": "yes"}
    response = operator.post(f"{LIST}?state=error", data, follow=True)
    assert (
        "1 of the selected recurring jobs does not match the filter any more, or was deleted. It "
        "was not touched."
    ) in [str(message) for message in response.context["messages"]]
