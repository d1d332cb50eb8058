"""Prunes all finished jobs: `python -m benchmarks.project.prune`."""

import time

import django


def main() -> None:
    """Print the number of deleted jobs, the seconds, and the seconds of the longest step."""
    django.setup()
    from django_future.status import Status
    from django_future.store import retention, store_for
    from django_future.worker.maintenance import PRUNE_PAUSE_SECONDS

    store = store_for("default")
    began_at = step_began_at = time.perf_counter()
    total, longest = 0, 0.0
    for count in retention.prune(store, Status.COMPLETE, store.now()):
        longest = max(longest, time.perf_counter() - step_began_at)
        total += count
        time.sleep(PRUNE_PAUSE_SECONDS)
        step_began_at = time.perf_counter()
    print(total, time.perf_counter() - began_at, longest)


if __name__ == "__main__":
    main()
