"""Measures the pages on the database in DATABASE_URL: `... -m benchmarks.admin.measure JOBS`."""

import sys
import time

import django

from benchmarks.table import render

REFRESHES = 120
REFRESHES_PER_SECOND = 2  # ten people, each every 5 s
MAX_PERCENT = 2


def main() -> int:
    """Print the tables, and return 1 if a bound does not hold."""
    django.setup()
    from benchmarks.admin.pages import addresses, logged_in, measure, plan
    from benchmarks.admin.rows import write_rows

    began_at = time.monotonic()
    write_rows(int(sys.argv[1]))
    print(f"The rows were written in {time.monotonic() - began_at:.0f} s, without ANALYZE.\n")
    client, found = logged_in(), addresses()
    costs = [measure(client, name, address) for name, address in found.items() if address]
    header = ["page", "status", "queries", "ms", "KB", "worst query, ms", "holds"]
    print(render(header, [
        [one.name, str(one.status), str(one.queries), f"{one.ms:.1f}", f"{one.kilobytes:.0f}",
         f"{one.worst_ms:.1f}", "yes" if one.holds else "NO"] for one in costs
    ]))  # fmt: skip
    for name, address in found.items():
        if address is None:
            print(f"\n*** {name} is SKIPPED: the page does not exist. ***")
    worst = max(costs, key=lambda one: one.worst_ms)
    print(f"\nThe query that costs most, of {worst.name}:\n{worst.worst_sql}\n")
    print(plan(worst.worst_sql))
    percent = _percent_of_a_core(client, found["overview fragment"] or found["overview"])
    print(
        f"\nTen people who refresh the overview every 5 s: {percent:.2f} % of one core for the "
        f"database ({REFRESHES} refreshes; at most {MAX_PERCENT} %)"
    )
    return int(percent > MAX_PERCENT or not all(one.holds for one in costs))


def _percent_of_a_core(client, address) -> float:
    """Return the CPU time of this session in the server, for the rate of ten people."""
    from django.db import connection

    from benchmarks.processes import cpu_seconds

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    before = cpu_seconds(pid)
    for _ in range(REFRESHES):
        client.get(address)
    return 100 * (cpu_seconds(pid) - before) / REFRESHES * REFRESHES_PER_SECOND


if __name__ == "__main__":
    sys.exit(main())
