"""What is wrong with a page: barriers for people with a disability, and content out of sight."""

from collections.abc import Sequence
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

COLOURS = ["color-contrast", "link-in-text-block"]  # the rules of axe about colours
SEVERE = {"serious", "critical"}

# A box that scrolls by itself may be wider than the window. The boxes of the frame of the admin may
# not, because they contain the whole page.
OUT_OF_SIGHT = """() => {
    const width = document.documentElement.clientWidth;
    const frame = "html, body, #container, .main, #main, .content, #content, #content-main, form";
    function isInBoxOfItsOwn(element) {
        for (let box = element.parentElement; box !== null; box = box.parentElement) {
            const scrolls = ["auto", "scroll"].includes(getComputedStyle(box).overflowX);
            if (scrolls && !box.matches(frame)) {
                return true;
            }
        }
        return false;
    }
    function isOutOfSight(element) {
        const box = element.getBoundingClientRect();
        const isShown = box.width > 1 && box.height > 1 && box.bottom > 0;
        return isShown && (box.left < -1 || box.right > width + 1) && !isInBoxOfItsOwn(element);
    }
    const found = [...document.body.querySelectorAll("*")].filter(isOutOfSight);
    return found.map((element) => element.outerHTML.slice(0, 120));
}"""


def barriers(page: Page, rules: Sequence[str] | None = None) -> list[str]:
    """Return what axe finds, by these or all rules, if it is serious or critical."""
    options: dict[str, Any] = {"resultTypes": ["violations"]}
    if rules is not None:
        options["runOnly"] = rules
    return [
        f"{rule['id']}: {node['html'][:160]} {node['failureSummary']}"
        for rule in Axe().run(page, options=options).response["violations"]
        if rule["impact"] in SEVERE
        for node in rule["nodes"]
    ]


def out_of_sight(page: Page) -> list[str]:
    """Return the elements that are beyond the edge of the window, where only scrolling shows them."""
    is_wide = page.evaluate("document.scrollingElement.scrollWidth > window.innerWidth")
    return [*(["the page scrolls sideways"] if is_wide else []), *page.evaluate(OUT_OF_SIGHT)]
