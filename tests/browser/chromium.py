"""The browser of the machine. Playwright downloads none."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Playwright, sync_playwright

NAMES = "chromium", "chromium-browser", "google-chrome", "google-chrome-stable"
MISSING = (
    "no browser was found, so nothing checked the pages of the admin. "
    "Install Chromium, for example with `apt-get install chromium`."
)


class NoBrowser(Exception):
    """The machine has no Chromium and no Chrome."""


@contextmanager
def running_browser() -> Iterator[Browser]:
    """Start the browser, and close it when the block ends. Raises `NoBrowser`."""
    with sync_playwright() as playwright:
        executable = _executable(playwright)
        if executable is None:
            raise NoBrowser
        # The sandbox of Chromium does not start as root, and the pages are our own.
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def is_required() -> bool:
    """Return whether a missing browser is a failure.

    `.ci/run` turns these tests off on a machine where it cannot install a browser.
    """
    return os.environ.get("CI") == "true" and os.environ.get("BROWSER_TESTS") != "off"


def _executable(playwright: Playwright) -> str | None:
    """Return the path of a browser: of the system, or the one that Playwright has installed."""
    own = playwright.chromium.executable_path
    found = filter(None, map(shutil.which, NAMES))
    return next(found, own if Path(own).exists() else None)
