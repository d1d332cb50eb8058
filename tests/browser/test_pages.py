"""Each page of the admin in a real browser: its policy, its accessibility and its width."""

from contextlib import ExitStack

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command

from django_future.status import Status
from tests.browser.findings import COLOURS, barriers, out_of_sight
from tests.browser.rows import write_rows
from tests.browser.site import session_of
from tests.browser.window import DESKTOP, PHONE, new_window
from tests.support.admin_pages import LIST

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.only_on("sqlite", reason="The pages are the same on each database."),
    pytest.mark.slow,
]

ADMIN = "/admin/django_future/"
LEFT_TO_RIGHT, RIGHT_TO_LEFT = "en", "he"
FAILURES, RECURRING = f"{LIST}failures/", f"{ADMIN}recurringjob/"

# With the primary keys of the rows.
ADDRESSES = {
    "index of all apps": "/admin/",
    "index of the app": ADMIN,
    "list of jobs": LIST,
    "list of failed jobs": f"{LIST}?status__exact=failed",
    "list without a job": f"{LIST}?q=nothing",
    "form of a job": f"{LIST}add/",
    **{f"{status} job": f"{LIST}{{{status}}}/change/" for status in Status},
    "late job": f"{LIST}{{late}}/change/",
    "job that is dealt with": f"{LIST}{{dealt_with}}/change/",
    "run of a recurring job": f"{LIST}{{run}}/change/",
    "copy of a job": f"{LIST}{{complete}}/duplicate/",
    "history of a job": f"{LIST}{{complete}}/history/",
    "deletion of a job": f"{LIST}{{complete}}/delete/",
    "failures": FAILURES,
    "list of recurring jobs": f"{RECURRING}",
    "form of a recurring job": f"{RECURRING}add/",
    "recurring job": f"{RECURRING}{{recurring}}/change/",
    "paused recurring job": f"{RECURRING}{{paused_recurring}}/change/",
    "pause of a recurring job": f"{RECURRING}{{recurring}}/pause/",
    "backfill of a recurring job": f"{RECURRING}{{recurring}}/backfill/",
    "list of paused queues": f"{ADMIN}pausedqueue/",
    "form of a paused queue": f"{ADMIN}pausedqueue/add/",
    "paused queue": f"{ADMIN}pausedqueue/{{queue}}/change/",
    "list of workers": f"{ADMIN}worker/",
    "worker": f"{ADMIN}worker/{{worker}}/change/",
    "object with jobs": "/office/shop/order/{order}/change/",
}
# Pages to which only a click leads: the page with the button, and the selector of the button.
CLICKS = {
    "confirmation of a retry": (FAILURES, "button[value=retry]"),
    "confirmation of a note": (FAILURES, "button[value=deal]"),
    "form of a job with errors": (f"{LIST}add/", "[name=_save]"),
    "form of a recurring job with errors": (f"{RECURRING}add/", "[name=_save]"),
    "form of a paused queue with errors": (f"{ADMIN}pausedqueue/add/", "[name=_save]"),
}
each_page = pytest.mark.parametrize("name", [*ADDRESSES, *CLICKS])


@pytest.fixture(scope="module")
def rows(browser, django_db_setup, django_db_blocker):
    """Write the rows for all tests of this module, which change none of them."""
    with django_db_blocker.unblock():
        user = User.objects.create_superuser("operator")
        yield {"session": session_of(user), **write_rows(user)}
        call_command("flush", verbosity=0, interactive=False)


@pytest.fixture(scope="module")
def windows(browser, site, rows):
    """Return one window for each language. The tests share them, and so the files in the cache."""
    with ExitStack() as stack:
        yield {
            language: stack.enter_context(
                new_window(browser, site, rows["session"], locale=language)
            )
            for language in (LEFT_TO_RIGHT, RIGHT_TO_LEFT)
        }


@pytest.fixture
def visit(rows, windows):
    """Return a function that opens a page."""

    def open_page(name, language=LEFT_TO_RIGHT):
        page = windows[language]
        page.set_viewport_size(DESKTOP)
        page.emulate_media(color_scheme="light")
        address, button = CLICKS.get(name) or (ADDRESSES[name], None)
        assert page.goto(address.format(**rows)).ok
        if button is not None:
            page.locator("form").evaluate_all("forms => forms.forEach(f => f.noValidate = true)")
            page.locator(button).first.click()
        return page

    return open_page


@each_page
def test_a_page_keeps_to_a_strict_policy(visit, name):
    page = visit(name)
    assert page.get_by_role("main").is_visible()


@each_page
def test_a_page_has_no_severe_barrier_in_the_light_and_in_the_dark(visit, name):
    page = visit(name)
    assert barriers(page) == []
    page.emulate_media(color_scheme="dark")
    assert barriers(page, COLOURS) == []


@each_page
def test_a_page_fits_into_a_narrow_window(visit, name):
    page = visit(name)
    page.set_viewport_size(PHONE)
    assert out_of_sight(page) == []


@each_page
def test_a_page_works_from_right_to_left(visit, name):
    page = visit(name, RIGHT_TO_LEFT)
    assert page.locator("html").get_attribute("dir") == "rtl"
    assert out_of_sight(page) == []
    page.set_viewport_size(PHONE)
    assert out_of_sight(page) == []


def test_the_browser_reports_what_the_policy_forbids(browser, site):
    with pytest.raises(AssertionError, match="Content Security Policy"):
        with new_window(browser, site, None) as page:
            page.goto("/admin/login/")
            page.evaluate("document.body.append(document.createElement('style'))")
            page.evaluate("document.querySelector('body > style').textContent = '* {color: red}'")
