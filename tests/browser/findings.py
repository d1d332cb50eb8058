"""What is wrong with a page: barriers for people with a disability, and content out of sight."""

from collections.abc import Sequence

from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Page

COLOURS = ["color-contrast", "link-in-text-block"]  # the rules of axe about colours
# Django draws these on each page, and they have barriers of their own.
FRAME = [".breadcrumbs"]
SEVERE = {"serious", "critical"}
# The rules for levels A and AA, without those that are only good practice.
STANDARD = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]

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
        const isHidden = element.closest(".visually-hidden, .hidden");
        const isBeyond = box.left < -1 || box.right > width + 1;
        return isShown && !isHidden && isBeyond && !isInBoxOfItsOwn(element);
    }
    const found = [...document.body.querySelectorAll("*")].filter(isOutOfSight);
    return found.map((element) => element.outerHTML.slice(0, 120));
}"""


def barriers(page: Page, rules: Sequence[str] | None = None) -> list[str]:
    """Return what axe finds, by these or all rules, if it is serious or critical."""
    page.evaluate("document.getAnimations().forEach((change) => change.finish())")  # of colours
    options = {"resultTypes": ["violations"], "runOnly": rules or STANDARD}
    found = Axe().run(page, {"exclude": FRAME}, options).response["violations"]
    return [
        f"{rule['id']}: {node['html'][:160]} {node['failureSummary']}"
        for rule in found
        if rule["impact"] in SEVERE
        for node in rule["nodes"]
    ]


def reversed_code(page: Page) -> list[str]:
    """Return the code on the page that reads from right to left, such as "* * * * 0" for a cron."""
    fields = ("handler", "arguments", "callable_name", "args", "kwargs", "cron", "timezone")
    inputs = ", ".join(f"#content [name={name}]:not([type=hidden])" for name in fields)
    found: list[str] = page.locator(f"#content :is(code, pre), {inputs}").evaluate_all(
        """elements => elements.filter((one) => getComputedStyle(one).direction === "rtl")
                               .map((one) => one.outerHTML.slice(0, 120))"""
    )
    return found


def out_of_sight(page: Page) -> list[str]:
    """Return the elements beyond the edge of the window, and whether the page scrolls to them."""
    is_wide = page.evaluate("document.scrollingElement.scrollWidth > window.innerWidth")
    return [*(["the page scrolls sideways"] if is_wide else []), *page.evaluate(OUT_OF_SIGHT)]
