"""A window of the browser, and what goes wrong on its pages."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Page, WebError

from tests.support.waiting import MAX_WAIT_SECONDS

MAX_WAIT = 1000 * MAX_WAIT_SECONDS  # Playwright counts milliseconds
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 320, "height": 640}


@contextmanager
def new_window(
    browser: Browser, site: str, session: tuple[str, str] | None = None, **options: Any
) -> Iterator[Page]:
    """Open a window, with the cookie of a session if there is one."""
    context = browser.new_context(base_url=site, **{"viewport": DESKTOP, **options})
    context.set_default_timeout(MAX_WAIT)
    if session is not None:
        context.add_cookies([{"name": session[0], "value": session[1], "url": site}])
    try:
        yield context.new_page()
    finally:
        context.close()


@contextmanager
def no_errors(page: Page) -> Iterator[Page]:
    """Require that the browser reports no error until the block ends.

    It reports what the policy of the site forbids, a missing file, and an error in a script.
    """
    errors: list[str] = []

    def record_message(message: ConsoleMessage) -> None:
        if message.type == "error":
            errors.append(message.text)

    def record_error(found: WebError) -> None:
        errors.append(str(found.error))

    page.context.on("console", record_message)
    page.context.on("weberror", record_error)
    try:
        yield page
    finally:
        page.context.remove_listener("console", record_message)
        page.context.remove_listener("weberror", record_error)
    assert not errors, errors
