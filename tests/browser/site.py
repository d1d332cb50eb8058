"""The site that the browser visits: the admin, with the middleware of a strict project."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.test import Client, override_settings
from pytest_django.live_server_helper import LiveServer

POLICY = "default-src 'self'"
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "tests.browser.site.with_policy",
]


def with_policy(get_response: Callable[[HttpRequest], HttpResponse]):
    """Return a middleware that allows only scripts, styles and images from files of the site."""

    def respond(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.headers["Content-Security-Policy"] = POLICY
        return response

    return respond


@contextmanager
def served_site() -> Iterator[str]:
    """Serve the site with the database of the tests, and yield its address."""
    changed = {
        "MIDDLEWARE": MIDDLEWARE,
        "ROOT_URLCONF": "tests.browser.urls",
        "ALLOWED_HOSTS": [*settings.ALLOWED_HOSTS, "127.0.0.1"],
    }
    with override_settings(**changed):
        server = LiveServer("127.0.0.1")
        try:
            yield server.url
        finally:
            server.stop()


def session_of(user: User) -> tuple[str, str]:
    """Log in a user, and return the name and the value of the cookie."""
    client = Client()
    client.force_login(user)
    name = settings.SESSION_COOKIE_NAME
    return name, client.cookies[name].value
