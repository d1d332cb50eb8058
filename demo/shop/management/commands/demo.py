"""`manage.py demo`: simulate four days of a flower shop, and show its jobs."""

import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import connections

from shop import history, story, table
from shop.models import Order

NAME, PASSWORD = "florist", "tulips"

TITLE = "Four days in a flower shop, and its jobs:"
RECURRING = (
    "shop.jobs.buy recurs each morning. Jobs ran only once a day, and not on the third day. So\n"
    "each of its runs is late, and one was missed:"
)
ROLLBACK_NOTE = (
    "The roses are {paid}: the job that failed had marked them as paid, and what a failed job\n"
    "writes is rolled back. The code is in demo/shop/jobs.py and demo/shop/story.py."
)
NEXT = "Run `make demo-admin` to see these jobs and a week of others in Django's admin."
# Each queue but one, whose jobs are late.
WORKER = ["future_worker", "--no-reload", "-v0", "--exclude-queue", "printer"]
SECONDS_TO_STOP = 1
SERVED = (
    'Log in as "{name}" with the password "{password}" at http://127.0.0.1:{port}/\n'
    "It shows a week of the shop, and a worker runs its jobs. Ctrl-C ends both."
)


class Command(BaseCommand):
    """Simulate four days of a flower shop."""

    help = "Schedules jobs of every kind in a fresh database, runs them, and shows what happened."

    def add_arguments(self, parser):
        parser.add_argument("--serve", action="store_true", help="Serve the admin afterwards.")
        parser.add_argument("--port", type=int, default=8000, help="Serve it on this port.")

    def handle(self, *, serve, port, **_):
        """Run the jobs and print them; with --serve, serve the admin."""
        remove_database()
        call_command("migrate", verbosity=0)
        story.live_four_days()
        self.print_paragraphs(TITLE, "\n".join(table.of_jobs()))
        self.print_paragraphs(RECURRING, "\n".join(table.of_recurring_jobs()), rollback_note())
        if not serve:
            self.print_paragraphs(NEXT)
            return
        history.write_history()
        history.schedule_the_present()
        User.objects.create_superuser(NAME, password=PASSWORD)
        self.print_paragraphs(SERVED.format(port=port, name=NAME, password=PASSWORD))
        with running_worker():
            call_command("runserver", f"127.0.0.1:{port}", use_reloader=False)

    def print_paragraphs(self, *paragraphs):
        """Print paragraphs, with a blank line after each."""
        for paragraph in paragraphs:
            self.stdout.write(f"{paragraph}\n\n")
        self.stdout.flush()


@contextmanager
def running_worker():
    """Run a worker as a child process until the block ends."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # like Ctrl-C, so that the block ends
    # In a session of its own: Ctrl-C reaches this process only, which then ends the worker.
    worker = subprocess.Popen([sys.executable, sys.argv[0], *WORKER], start_new_session=True)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not leave the worker
        worker.terminate()
        try:
            worker.wait(timeout=SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            worker.kill()  # a job is running, and the next demo starts afresh
            worker.wait()


def remove_database():
    """Remove the database file of an earlier demo, and the other files of SQLite."""
    connections.close_all()
    path = str(settings.DATABASES["default"]["NAME"])
    for suffix in "", "-wal", "-shm":
        Path(path + suffix).unlink(missing_ok=True)


def rollback_note():
    """Return what the table cannot show: the failed job changed nothing."""
    is_paid = Order.objects.get(flowers="roses").is_paid
    return ROLLBACK_NOTE.format(paid="paid" if is_paid else "still unpaid")
