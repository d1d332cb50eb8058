"""Take the pictures of the documentation: `python -m tests.browser.pictures`.

They show the admin of the demo, in the light and in the dark.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.error import URLError
from urllib.request import urlopen

from playwright.sync_api import Page

from tests.browser.chromium import running_browser
from tests.browser.window import new_window
from tests.support.waiting import wait_for_exit

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs" / "images"
NAME, PASSWORD = "florist", "tulips"
WINDOW = {"width": 1280, "height": 720}
JOBS = "/django_future/scheduledjob/"
# The address of each picture, and the link that leads on to the page, if there is one.
PICTURES = {
    "overview": ("/django_future/", None),
    "job-list": (JOBS, None),
    "job": (f"{JOBS}?q=shop.order+2&status__exact=failed", "charge"),
    "failures": (f"{JOBS}failures/", None),
}
CLOSED_SIDEBAR = "localStorage.setItem('django.admin.navSidebarIsOpen', 'false')"

# The paths of files, in tracebacks, are those of the machine.
WITHOUT_FOLDER = """folder => {
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
        texts.currentNode.data = texts.currentNode.data.replaceAll(folder, "");
    }
}"""


def main() -> None:
    """Take each picture twice."""
    IMAGES.mkdir(exist_ok=True)
    with running_demo() as (site, folder), running_browser() as browser:
        for scheme in "light", "dark":
            with new_window(browser, site, color_scheme=scheme, viewport=WINDOW) as page:
                log_in(page)
                for name in PICTURES:
                    take(page, name, IMAGES / f"{name}-{scheme}.png", folder)


def log_in(page: Page) -> None:
    """Log in as the florist."""
    page.add_init_script(CLOSED_SIDEBAR)
    page.goto("/")
    page.get_by_label("Username").fill(NAME)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()


def take(page: Page, name: str, path: Path, folder: str) -> None:
    """Take one picture."""
    address, link = PICTURES[name]
    page.goto(address)
    if link is not None:
        with page.expect_navigation():
            page.locator("#result_list").get_by_role("link", name=link, exact=True).first.click()
    page.evaluate(WITHOUT_FOLDER, f"{folder}/")
    page.screenshot(path=path, animations="disabled")
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1000} KB")


@contextmanager
def running_demo() -> Iterator[tuple[str, str]]:
    """Serve the admin of a copy of the demo, and yield its address and the folder of the copy."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with TemporaryDirectory() as folder:
        # A copy, because the pages show the paths of the files.
        copy = Path(shutil.copytree(ROOT / "demo", Path(folder) / "florist"))
        command = [sys.executable, str(copy / "manage.py"), "demo", "--serve", "--port", str(port)]
        environment = {
            "DEMO_DATABASE": str(copy / "demo.sqlite3"),
            "DJANGO_SETTINGS_MODULE": "florist.settings",
        }
        demo = subprocess.Popen(command, env=os.environ | environment,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        try:
            while demo.poll() is None and not answers(address):
                time.sleep(0.05)
            yield address, folder
        finally:
            demo.terminate()
            wait_for_exit(demo)


def free_port() -> int:
    """Return a port that no program uses."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def answers(address: str) -> bool:
    """Return whether a server answers at the address."""
    try:
        with urlopen(f"{address}/login/", timeout=5) as answer:
            return bool(answer.status == 200)
    except (URLError, TimeoutError):
        return False


if __name__ == "__main__":
    main()
