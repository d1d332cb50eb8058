"use strict";
// Shows what the server says about the values of the fields in data-preview-fields, a moment
// after one of them has changed, and each error at its field. It saves nothing.
(() => {
    const DELAY = 400;

    function start(section) {
        const form = section.closest("form");
        const text = section.querySelector("[aria-live]");
        const names = section.dataset.previewFields.split(" ");
        let timer = 0;
        let shown = values().toString();

        function values() {
            const found = new URLSearchParams();
            for (const [name, value] of new FormData(form)) {
                if (typeof value === "string" && names.includes(name.replace(/_\d$/, ""))) {
                    found.append(name, value.trim());
                }
            }
            return found;
        }

        function changed() {
            clearTimeout(timer);
            timer = setTimeout(refresh, DELAY);
        }

        async function refresh() {
            const given = values();
            const wanted = given.toString();
            if (wanted === shown || !(given.get("cron") || given.get("every"))) {
                return;
            }
            shown = wanted;
            const url = new URL(section.dataset.previewUrl, document.baseURI);
            given.forEach((value, name) => url.searchParams.append(name, value));
            try {
                const response = await fetch(url, {
                    credentials: "same-origin",
                    redirect: "error",
                });
                if (!response.ok) {
                    throw new Error(String(response.status));
                }
                const html = await response.text();
                if (wanted === shown) {
                    text.innerHTML = html;
                    showErrors();
                }
            } catch {
                shown = "";  // the next change tries again
            }
        }

        function showErrors() {
            for (const name of names) {
                const error = text.querySelector(`[data-preview-field="${name}"]`);
                const row = form.querySelector(`.field-${name}`);
                if (!row) {
                    continue;
                }
                row.querySelectorAll(".errorlist").forEach((old) => { old.remove(); });
                row.classList.toggle("errors", Boolean(error));
                row.querySelectorAll("input").forEach((input) => {
                    describe(input, `id_${name}_error`, Boolean(error));
                });
                if (error) {
                    error.hidden = false;
                    row.prepend(error);
                }
            }
        }

        // As Django does when it renders a form with errors.
        function describe(input, id, isWrong) {
            const texts = (input.getAttribute("aria-describedby") || "").split(" ");
            const others = texts.filter((text) => text && text !== id);
            input.setAttribute("aria-invalid", String(isWrong));
            input.setAttribute("aria-describedby", [...others, ...(isWrong ? [id] : [])].join(" "));
        }

        // The calendar of the admin sends no event, but moves the focus.
        for (const event of ["input", "change", "focusin", "focusout"]) {
            form.addEventListener(event, changed);
        }
    }

    document.querySelectorAll("[data-preview-url]").forEach(start);
})();
