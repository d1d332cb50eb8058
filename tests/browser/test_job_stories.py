"""What users do with jobs in the admin, in a real browser."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import expect

from django_future import ScheduledJob, clock, schedule_job, schedule_jobs
from django_future.status import Status
from tests.shop import decorated, jobs
from tests.support.admin_pages import LIST, job_in, page_of
from tests.support.waiting import eventually

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.only_on("sqlite", reason="The pages are the same on each database."),
    pytest.mark.slow,
]

FAILURES = f"{LIST}failures/"
MILLISECOND = timedelta(milliseconds=1)


def click(page, name, **options):
    page.get_by_role("button", name=name, exact=True, **options).click()


def test_a_user_logs_in_and_finds_a_job_by_a_search(open_window):
    User.objects.create_superuser("ada", password="tulips")
    schedule_job("1h", jobs.echo)
    wanted = schedule_job("1h", decorated.greet, args=["Ada"])
    page = open_window()
    page.goto("/admin/")
    page.get_by_label("Username").fill("ada")
    page.get_by_label("Password").fill("tulips")
    click(page, "Log in")
    page.get_by_role("main").get_by_role("link", name="Scheduled jobs", exact=True).last.click()
    found = page.locator("#result_list").get_by_role("link")
    expect(found).to_have_count(2)
    page.locator("#searchbar").fill("greet")
    page.keyboard.press("Enter")
    expect(found).to_have_text(["greet"])
    found.click()
    expect(page).to_have_url(re.compile(page_of(wanted)))


def test_a_user_runs_a_job_now_and_sees_it_end_without_a_reload(page, start_worker):
    job = schedule_job("5m", jobs.echo, args=["tulips"])
    start_worker()
    page.goto(page_of(job))
    click(page, "Run now")
    expect(page.get_by_role("main")).to_contain_text("✓ complete")


def test_a_user_moves_a_job(page):
    job = schedule_job("5m", jobs.echo)
    page.goto(page_of(job))
    page.get_by_label("To", exact=True).fill("3h")
    click(page, "Move")
    expect(page.locator(".success")).to_be_visible()
    job.refresh_from_db()
    assert clock.from_row(job.scheduled_at) - clock.now() > timedelta(hours=2, minutes=50)


def test_a_user_who_moves_a_job_to_no_time_reads_why_it_stays(page):
    job = schedule_job("5m", jobs.echo)
    page.goto(page_of(job))
    page.get_by_label("To", exact=True).fill("soon")
    click(page, "Move")
    expect(page.locator(".error")).to_contain_text("“soon” is not a time")
    assert ScheduledJob.objects.get().scheduled_at == job.scheduled_at


def test_a_user_cancels_a_job(page):
    job = schedule_job("5m", jobs.echo)
    page.goto(page_of(job))
    click(page, "Cancel the job")
    expect(page.locator(".future-badge")).to_contain_text("cancelled")
    assert ScheduledJob.objects.get().status == Status.CANCELLED


def test_a_user_cancels_a_running_job_and_sees_it_stop(page, start_worker, hold_file):
    job = schedule_job("0s", jobs.hold, args=[str(hold_file)])
    start_worker()
    eventually(hold_file.exists)
    page.goto(page_of(job))
    click(page, "Cancel the running job")
    expect(page.locator(".future-badge")).to_contain_text("cancelled")
    eventually(lambda: running_jobs(page) == "0")


def running_jobs(page):
    page.goto("/admin/django_future/worker/")
    return page.locator("td.field-running").inner_text()


def test_a_user_watches_the_progress_of_a_job_without_a_reload(page, start_worker, hold_file):
    job = schedule_job("0s", jobs.report_and_hold, args=[str(hold_file)])
    start_worker()
    eventually(hold_file.exists)
    page.goto(page_of(job))
    page.evaluate("document.isSamePage = true")
    expect(page.get_by_role("progressbar")).to_have_attribute("value", "3")
    Path(hold_file).unlink()
    expect(page.get_by_role("status")).to_contain_text("The job has ended")
    expect(page.get_by_role("progressbar")).to_have_attribute("value", "10")
    assert page.evaluate("document.isSamePage")


def test_a_user_retries_the_412_failures_of_a_group(page):
    schedule_jobs({"when": "0s", "callable": jobs.fail} for _ in range(412))
    error = {"error": "Traceback\nValueError: fail", "error_kind": "ValueError in tests.shop"}
    failed = {"status": Status.FAILED, "finished_at": clock.to_row(clock.now()), **error}
    ScheduledJob.objects.update(**failed)
    another = job_in(Status.FAILED)
    page.goto(FAILURES)
    click(page, "Retry these 412")
    click(page, "Retry 412 jobs")
    expect(page.locator(".success")).to_contain_text("412")
    retried = ScheduledJob.objects.filter(status=Status.SCHEDULED)
    assert retried.count() == 412
    assert not retried.filter(pk=another.pk).exists()


def test_a_user_who_adds_a_job_with_bad_arguments_reads_the_error_at_the_field(page):
    page.goto(f"{LIST}add/")
    page.get_by_label("Handler:").fill("tests.shop.decorated.greet")
    page.get_by_label("Arguments:").fill("'Ada', often=2")
    click(page, "Save")
    expect(page.locator(".field-arguments .errorlist")).to_contain_text("often")
    expect(page.get_by_label("Arguments:")).to_have_value("'Ada', often=2")
    assert not ScheduledJob.objects.exists()


def test_a_user_adds_a_job(page):
    page.goto(f"{LIST}add/")
    page.get_by_label("Handler:").fill("greet")
    page.get_by_label("Arguments:").fill("'Ada', times=2")
    page.get_by_label("When:").fill("3h")
    click(page, "Save")
    expect(page.locator(".future-call")).to_contain_text("greet(name='Ada', times=2)")
    assert ScheduledJob.objects.get().kwargs == {"times": 2}


def test_an_overview_that_cannot_be_refreshed_says_so_until_it_can(page):
    page.clock.install()
    page.goto("/admin/django_future/")
    # Not an error, which the browser would report.
    page.route("**/overview/", lambda route: route.fulfill(status=304))
    warning = page.locator("[data-refresh-failed]")
    expect(warning).to_be_hidden()
    page.clock.run_for(timedelta(minutes=10) // MILLISECOND)
    expect(warning).to_be_visible()
    page.unroute("**/overview/")
    page.clock.run_for(timedelta(minutes=2) // MILLISECOND)
    expect(warning).to_be_hidden()


def test_a_click_on_a_table_does_not_stop_the_refresh(page):
    schedule_job("1h", jobs.echo, queue_name="first")
    page.goto("/admin/django_future/")
    page.get_by_role("region", name="Queues").click(position={"x": 5, "y": 5})
    schedule_job("1h", jobs.echo, queue_name="second")
    expect(page.get_by_role("region", name="Queues")).to_contain_text("second")
