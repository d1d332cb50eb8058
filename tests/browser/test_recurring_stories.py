"""What users do with recurring jobs in the admin, in a real browser."""

import pytest
from playwright.sync_api import expect

from django_future import RecurringJob, ScheduledJob, schedule_recurring
from tests.shop import jobs

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.only_on("sqlite", reason="The pages are the same on each database."),
    pytest.mark.slow,
]

LIST = "/admin/django_future/recurringjob/"


@pytest.fixture
def hourly(db):
    """Return a recurring job that runs every hour."""
    return schedule_recurring("hourly", jobs.trace, cron="0 * * * *")


def page_of(recurring):
    return f"{LIST}{recurring.pk}/change/"


def click(page, name):
    page.get_by_role("button", name=name, exact=True).click()


def test_a_user_makes_a_recurring_job(page):
    page.goto(f"{LIST}add/")
    page.get_by_label("Name:", exact=True).fill("nightly")
    page.get_by_label("Handler:").fill("tests.shop.jobs.trace")
    page.get_by_label("Cron:").fill("0 3 * * *")
    click(page, "Save")
    expect(page.locator(".success")).to_contain_text("nightly")
    expect(page.locator("#result_list")).to_contain_text("At 03:00 every day")
    assert RecurringJob.objects.get().cron == "0 3 * * *"


def test_a_user_who_gives_a_bad_rhythm_reads_the_error_at_the_field(page):
    page.goto(f"{LIST}add/")
    page.get_by_label("Name:", exact=True).fill("nightly")
    page.get_by_label("Handler:").fill("tests.shop.jobs.trace")
    page.get_by_label("Cron:").fill("0 25 * * *")
    click(page, "Save")
    expect(page.locator(".field-cron .errorlist, .fieldBox.errors .errorlist")).to_be_visible()
    assert not RecurringJob.objects.exists()


def test_a_user_pauses_a_recurring_job_with_a_reason(page, hourly):
    page.goto(page_of(hourly))
    click(page, "Pause")
    page.get_by_label("Reason:").fill("month end")
    click(page, "Pause")
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    assert RecurringJob.objects.get().paused_reason == "month end"


def test_a_user_triggers_a_recurring_job(page, hourly):
    page.goto(page_of(hourly))
    click(page, "Run now")
    expect(page.locator(".success")).to_contain_text("1 run is due now.")
    assert ScheduledJob.objects.filter(recurring=hourly, recurs_at=None).count() == 1


def test_a_user_counts_the_runs_of_a_backfill_and_then_schedules_them(page, hourly):
    page.goto(page_of(hourly))
    click(page, "Backfill")
    page.get_by_label("Start:").fill("2026-03-02 00:00")
    page.get_by_label("End:").fill("2026-03-02 05:30")
    click(page, "Count the runs")
    expect(page.get_by_role("status")).to_contain_text("6 of 6 instants will get a run.")
    before = ScheduledJob.objects.count()
    click(page, "Schedule these runs")
    expect(page.locator(".success")).to_contain_text("6 runs were scheduled.")
    assert ScheduledJob.objects.count() == before + 6
