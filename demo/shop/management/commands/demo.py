"""`manage.py demo`: a flower shop, its jobs, and what became of them."""

from pathlib import Path

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import connections

from shop import story, table
from shop.models import Order

NAME, PASSWORD = "florist", "tulips"

TITLE = "Four days in a flower shop, and the jobs it scheduled on the first of them:"
MORAL = (
    "The roses are {paid}: the job that failed had marked them as paid, and what a failed job\n"
    "writes is rolled back. The code is in demo/shop/jobs.py and demo/shop/story.py."
)
NEXT = "Run `make demo-admin` to see the same jobs in Django's admin."
SERVED = (
    'Log in as "{name}" with the password "{password}" at http://127.0.0.1:{port}/\n'
    "No days have passed there: the jobs of the days to come have ended today."
)


class Command(BaseCommand):
    """Live through four days in a flower shop."""

    help = "Schedules jobs of every kind in a fresh database, runs them, and shows what happened."

    def add_arguments(self, parser):
        parser.add_argument("--serve", action="store_true", help="Serve the admin afterwards.")
        parser.add_argument("--port", type=int, default=8000, help="Serve it on this port.")

    def handle(self, *, serve, port, **_):
        """Tell the story, and serve the admin if asked to."""
        remove_database()
        call_command("migrate", verbosity=0)
        story.live_four_days()
        self.say(TITLE, "\n".join(table.lines()), moral())
        if not serve:
            self.say(NEXT)
            return
        User.objects.create_superuser(NAME, password=PASSWORD)
        self.say(SERVED.format(port=port, name=NAME, password=PASSWORD))
        call_command("runserver", f"127.0.0.1:{port}", use_reloader=False)

    def say(self, *paragraphs):
        """Print paragraphs, with a blank line after each."""
        for paragraph in paragraphs:
            self.stdout.write(f"{paragraph}\n\n")
        self.stdout.flush()


def remove_database():
    """Remove the database file of an earlier demo, and what SQLite keeps beside it."""
    connections.close_all()
    path = str(settings.DATABASES["default"]["NAME"])
    for suffix in "", "-wal", "-shm":
        Path(path + suffix).unlink(missing_ok=True)


def moral():
    """Say what the table cannot show."""
    is_paid = Order.objects.get(flowers="roses").is_paid
    return MORAL.format(paid="paid" if is_paid else "still unpaid")
