"""A window of the browser, which reports what goes wrong on its pages."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Page

from tests.support.waiting import MAX_WAIT_SECONDS

MAX_WAIT = 8000  # Playwright counts milliseconds
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 320, "height": 640}


@contextmanager
def new_window(
    browser: Browser, site: str, session: Mapping[str, str] | None, **options: Any
) -> Iterator[Page]:
    """Open a window with the cookie of a session. At the end, require that nothing went wrong.

    A browser reports what the policy of the site forbids, a file that is missing, and an error in a
    script.
    """
    errors: list[str] = []
    context = browser.new_context(base_url=site, **{"viewport": DESKTOP, **options})
    context.set_default_timeout(MAX_WAIT)
    context.on("console", lambda said: said.type == "error" and errors.append(said.text))
    context.on("weberror", lambda found: errors.append(str(found.error)))
    if session is not None:
        context.add_cookies([{**session, "url": site}])
    try:
        yield context.new_page()
    finally:
        context.close()
    assert errors == []
