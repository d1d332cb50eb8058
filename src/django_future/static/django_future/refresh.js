"use strict";
// Replaces the content of elements with data-refresh-url by what the server sends, every
// data-refresh-seconds. It rests while the page is hidden, while the user is in the element,
// and after a click on a button with data-refresh-stop. It ends when the server answers 204, or
// sends an element with data-refresh-end. While it fails, it tries again after longer and longer
// times, and shows the element with data-refresh-failed.
(() => {
    const MAX_INTERVAL = 60000;

    function start(element) {
        const interval = 1000 * Number(element.dataset.refreshSeconds || 5);
        let failures = 0;
        let isStopped = false;
        const warning = element.parentElement.querySelector("[data-refresh-failed]");

        function isResting() {
            return isStopped || document.hidden || element.contains(document.activeElement);
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

    // Details that the user has opened stay open. They need an id.
    function keepOpen(element, replace) {
        const open = [...element.querySelectorAll("details[open][id]")].map((one) => one.id);
        replace();
        for (const id of open) {
            document.getElementById(id)?.setAttribute("open", "");
        }
    }

    document.addEventListener("DOMContentLoaded", () => {
        document.querySelectorAll("[data-refresh-url]").forEach(start);
    });
})();
