"use strict";
// Submits a form with data-submit-soon by itself. Without this script, the user clicks its button.
(() => {
    const PAUSE = 300; // milliseconds, in which the user can click the link that stops

    for (const form of document.querySelectorAll("form[data-submit-soon]")) {
        setTimeout(() => form.requestSubmit(), PAUSE);
    }
})();
