"""A bare loop around the handler: `python -m benchmarks.project.bare JOB`."""

import os
import sys


def fill(job: str, count: int) -> None:
    """Do nothing, because the loop needs no backlog."""


def main() -> None:
    """Call the handler in a transaction, $JOBS times."""
    import django

    django.setup()
    from django.db import connection, transaction

    from benchmarks.project import jobs

    handler = getattr(jobs, sys.argv[1])
    connection.ensure_connection()
    for number in range(int(os.environ["JOBS"])):
        with transaction.atomic():
            handler(number)


if __name__ == "__main__":
    main()
