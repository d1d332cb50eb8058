"""The process that schedules jobs: ahead of their time, or for this moment."""

import random
import sys
import time
from collections.abc import Callable, Sequence

LEAD = 2.0  # seconds between scheduling jobs and the first of their instants


def schedule(ahead: Callable[[Sequence[float]], object], now: Callable[[float], object]) -> None:
    """Do what the command line says: `ahead|now COUNT SECONDS SEED`.

    `ahead` is given all instants at once, `now` the instant of the call, again and again.
    """
    mode, count, seconds, seed = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
    chance = random.Random(seed)
    if mode == "ahead":
        first = time.time() + LEAD
        ahead(sorted(first + chance.uniform(0, seconds) for _ in range(count)))
        return
    first, each = time.time(), seconds / count
    for number in range(count):
        # Even, but not in step with anything that a worker does at regular intervals.
        moment = first + (number + chance.random() / 2) * each
        time.sleep(max(moment - time.time(), 0))
        now(time.time())
