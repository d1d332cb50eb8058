"""Each page of the admin in a real browser: its policy, its accessibility and its width."""

from contextlib import ExitStack

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import call_command

from django_future.status import Status
from tests.browser.findings import COLOURS, barriers, out_of_sight, reversed_code
from tests.browser.rows import write_rows
from tests.browser.site import session_of
from tests.browser.window import DESKTOP, PHONE, new_window, no_errors
from tests.support.admin_pages import LIST

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.only_on("sqlite", reason="The pages are the same on each database."),
]

ADMIN = "/admin/django_future/"
LEFT_TO_RIGHT, RIGHT_TO_LEFT, VIEWER = "left to right", "right to left", "viewer"
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
# Pages to which an action leads: the list, and the action on all rows that match its filter.
ACTIONS = {
    "confirmation of a cancellation": (LIST, "cancel_selected"),
    "pause of all recurring jobs": (RECURRING, "pause_selected"),
}
each_page = pytest.mark.parametrize("name", [*ADDRESSES, *CLICKS, *ACTIONS])


@pytest.fixture(scope="module")
def rows(browser, django_db_setup, django_db_blocker):
    """Write the rows for all tests of this module, which change none of them."""
    with django_db_blocker.unblock():
        operator = User.objects.create_superuser("operator")
        viewer = User.objects.create_user("viewer", is_staff=True)
        viewer.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
        sessions = {"operator": session_of(operator), "viewer": session_of(viewer)}
        yield sessions | write_rows(operator)
        call_command("flush", verbosity=0, interactive=False)


@pytest.fixture(scope="module")
def windows(browser, site, rows):
    """Return one window of each kind. The tests share them, and so the files in the cache."""
    kinds = {
        LEFT_TO_RIGHT: {"session": rows["operator"], "locale": "en"},
        RIGHT_TO_LEFT: {"session": rows["operator"], "locale": "he"},
        VIEWER: {"session": rows["viewer"]},
    }
    with ExitStack() as stack:
        yield {
            kind: stack.enter_context(new_window(browser, site, **options))
            for kind, options in kinds.items()
        }


@pytest.fixture
def visit(rows, windows):
    """Return a function that opens a page."""

    def open_page(name, kind=LEFT_TO_RIGHT):
        page = windows[kind]
        page.set_viewport_size(DESKTOP)
        page.emulate_media(color_scheme="light")
        address, *step = CLICKS.get(name) or ACTIONS.get(name) or [ADDRESSES[name]]
        page.goto(address.format(**rows))
        if name in ACTIONS:
            page.locator("#action-toggle").check()
            page.locator(".select-across").evaluate("field => field.value = '1'")
            page.locator("select[name=action]").select_option(*step)
            step = ["[name=index]"]
        if step:
            page.locator("form").evaluate_all("forms => forms.forEach(f => f.noValidate = true)")
            with page.expect_navigation():
                page.locator(*step).first.click()
        return page

    return open_page


# Not slow, because it runs on each version of Django, whose own pages it checks, too.
@each_page
def test_a_page_keeps_to_a_strict_policy(visit, windows, name):
    with no_errors(windows[LEFT_TO_RIGHT]):
        assert visit(name).get_by_role("main").is_visible()


@pytest.mark.slow
@each_page
def test_a_page_has_no_severe_barrier_in_the_light_and_in_the_dark(visit, name):
    page = visit(name)
    assert barriers(page) == []
    page.emulate_media(color_scheme="dark")
    assert barriers(page, COLOURS) == []


@pytest.mark.slow
@each_page
def test_a_page_fits_into_a_narrow_window(visit, name):
    page = visit(name)
    page.set_viewport_size(PHONE)
    assert out_of_sight(page) == []


@pytest.mark.slow
@each_page
def test_a_page_works_from_right_to_left(visit, name):
    page = visit(name, RIGHT_TO_LEFT)
    assert page.locator("html").get_attribute("dir") == "rtl"
    assert reversed_code(page) == []
    assert out_of_sight(page) == []
    page.set_viewport_size(PHONE)
    assert out_of_sight(page) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ADDRESSES)
def test_a_user_who_may_only_view_sees_no_button_that_acts(visit, name):
    page = visit(name, VIEWER)
    forms = "#content form[method=post] :is(button, [type=submit])"
    assert page.locator(f"{forms}, #content :is(.addlink, .deletelink)").all_inner_texts() == []


def test_the_browser_reports_what_the_policy_forbids(browser, site):
    with new_window(browser, site) as page:
        page.goto("/admin/login/")
        with pytest.raises(AssertionError, match="Content Security Policy"), no_errors(page):
            page.evaluate("document.body.innerHTML = '<p style=\"color: red\">red</p>'")


def test_what_is_wider_than_the_window_is_found(visit):
    page = visit("list of workers")
    assert out_of_sight(page) == []
    page.evaluate("document.querySelector('h1').textContent = 'x'.repeat(1000)")
    assert "the page scrolls sideways" in out_of_sight(page)
