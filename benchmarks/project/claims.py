"""Claims the due jobs in batches: `python -m benchmarks.project.claims BATCH TIMES`."""

import sys
import time

import django

WARM_UP_BATCHES = 3


def main() -> None:
    """Print the milliseconds of each claim."""
    django.setup()
    from django_future.store import store_for
    from django_future.worker.heartbeat import new_worker

    batch, times = map(int, sys.argv[1:])
    store, worker = store_for("default"), new_worker()
    for number in range(WARM_UP_BATCHES + times):
        began_at = time.perf_counter()
        claimed = store.claim(worker, at=store.now(), limit=batch)
        took = time.perf_counter() - began_at
        if len(claimed) < batch:
            raise RuntimeError(f"Only {len(claimed)} of {batch} jobs were claimed.")
        if number >= WARM_UP_BATCHES:
            print(took * 1000)


if __name__ == "__main__":
    main()
