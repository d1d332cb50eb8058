"""Fixtures of the tests in a browser."""

from contextlib import ExitStack

import pytest
from playwright.sync_api import expect

from tests.__main__ import BANNER
from tests.browser import chromium
from tests.browser.site import served_site, session_of
from tests.browser.window import MAX_WAIT, new_window, no_errors


def pytest_terminal_summary(terminalreporter):
    """Write a banner if there was no browser."""
    skipped = terminalreporter.stats.get("skipped", [])
    if any(chromium.MISSING in str(report.longrepr) for report in skipped):
        terminalreporter.write_line(f"{BANNER}\nSKIPPED: {chromium.MISSING}\n{BANNER}", red=True)


@pytest.fixture(scope="package")
def browser():
    """Start the browser once, without the check of Django that a loop of Playwright would fail."""
    expect.set_options(timeout=MAX_WAIT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        try:
            with chromium.running_browser() as started:
                yield started
        except chromium.NoBrowser:
            (pytest.fail if chromium.is_required() else pytest.skip)(chromium.MISSING)


@pytest.fixture(scope="package")
def site(django_db_setup):
    """Serve the site once, and return its address."""
    with served_site() as address:
        yield address


@pytest.fixture
def open_window(browser, site):
    """Return a function that opens a window. At the end, no page may have reported an error."""
    with ExitStack() as stack:

        def open_one(session=None):
            window = stack.enter_context(new_window(browser, site, session))
            return stack.enter_context(no_errors(window))

        yield open_one


@pytest.fixture
def page(open_window, transactional_db):
    """Return a window of a user who may do everything."""
    from django.contrib.auth.models import User

    return open_window(session_of(User.objects.create_superuser("operator")))
