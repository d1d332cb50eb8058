"""The process that schedules jobs: ahead of their time, or for now."""

import random
import sys
import time
from collections.abc import Callable, Sequence

LEAD_SECONDS = 2.0  # between scheduling jobs and the time of the first


def schedule(ahead: Callable[[Sequence[float]], object], now: Callable[[float], object]) -> None:
    """Schedule jobs as the command line says: `ahead|now COUNT SECONDS SEED`.

    `ahead` is called once with all times, and `now` once per job with the time of the call.
    """
    mode, count, seconds, seed = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
    chance = random.Random(seed)
    if mode == "ahead":
        first = time.time() + LEAD_SECONDS
        ahead(sorted(first + chance.uniform(0, seconds) for _ in range(count)))
        return
    first, interval = time.time(), seconds / count
    for number in range(count):
        # Random offsets, so that the calls do not coincide with the intervals of a worker.
        call_at = first + (number + chance.random() / 2) * interval
        time.sleep(max(call_at - time.time(), 0))
        now(time.time())
