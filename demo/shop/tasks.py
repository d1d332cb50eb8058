"""A task of Django's Tasks API, which django-future runs too. Django 5.2 does not have the API."""

try:
    from django.tasks import task
except ImportError:

    def task(function):
        """Return a plain function, which a job can call as well."""
        return function


@task
def thank(name):
    """Send a card to a customer."""
    return f"a card for {name}"
