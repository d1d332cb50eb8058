"use strict";
// Replaces the content of elements with data-refresh-url by what the server sends, every
// data-refresh-seconds. It rests while the page is hidden, while the user has the focus on a link or
// a control in the element, or by the keyboard on any part of it, and after a click on a button with
// data-refresh-stop. It ends when the server answers 204, or sends an element with data-refresh-end. While it fails, it tries again after longer and longer
// times, and shows the element with data-refresh-failed.
(() => {
    const MAX_INTERVAL = 60000;
    const IN_USE = "a, button, input, select, summary, textarea, :focus-visible";

    function start(element) {
        const interval = 1000 * Number(element.dataset.refreshSeconds || 5);
        let failures = 0;
        let isStopped = false;
        const warning = element.parentElement.querySelector("[data-refresh-failed]");

        function isResting() {
            const focused = document.activeElement;
            const isInUse = element.contains(focused) && focused.matches(IN_USE);
            return isStopped || document.hidden || isInUse;
        }

        async function refresh() {
            if (!isResting()) {
                try {
                    const response = await fetch(element.dataset.refreshUrl, {
                        credentials: "same-origin",
                        redirect: "error",
                    });
                    if (response.status === 204) {
                        return;
                    }
                    if (!response.ok) {
                        throw new Error(String(response.status));
                    }
                    const html = await response.text();
                    if (!isResting()) {
                        keepOpen(element, () => { element.innerHTML = html; });
                    }
                    failures = 0;
                    if (element.querySelector("[data-refresh-end]")) {
                        return;
                    }
                } catch {
                    failures += 1;
                }
            }
            warning?.toggleAttribute("hidden", failures < 2);
            const longer = interval * 2 ** Math.max(failures - 1, 0);
            setTimeout(refresh, Math.max(Math.min(longer, MAX_INTERVAL), interval));
        }

        document.addEventListener("click", (event) => {
            const button = event.target.closest("[data-refresh-stop]");
            if (button) {
                isStopped = !isStopped;
                button.setAttribute("aria-pressed", String(isStopped));
            }
        });
        setTimeout(refresh, interval);
    }

    // Details that the user has opened stay open, and closed ones stay closed. They need an id.
    function keepOpen(element, replace) {
        const details = [...element.querySelectorAll("details[id]")];
        const states = details.map((one) => [one.id, one.open]);
        replace();
        for (const [id, isOpen] of states) {
            document.getElementById(id)?.toggleAttribute("open", isOpen);
        }
    }

    document.addEventListener("DOMContentLoaded", () => {
        document.querySelectorAll("[data-refresh-url]").forEach(start);
    });
})();
