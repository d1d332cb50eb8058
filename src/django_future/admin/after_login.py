"""The response of a view that acts to GET, which follows a login after the session has expired."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponseRedirect
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods

acting_view = require_http_methods(["GET", "HEAD", "POST"])


def nothing_done(model_admin: Any, request: HttpRequest, url: str) -> HttpResponseRedirect:
    """Redirect to the page with the buttons, and show there that nothing was done."""
    text = gettext("Nothing was done. If you have just logged in, do it again.")
    model_admin.message_user(request, text, messages.WARNING)
    return HttpResponseRedirect(url)
