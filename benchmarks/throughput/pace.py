"""The rate of scheduling: `python -m benchmarks.throughput.pace MODULE HOW COUNT TIMES`.

`MODULE` has a context manager `scheduler(how)`, which yields a function that schedules a number of
jobs.
"""

import sys
import time
from importlib import import_module

WARM_UP_JOBS = 50


def main() -> None:
    """Print the scheduled jobs per second."""
    module, how, count, times = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    with import_module(module).scheduler(how) as schedule:
        schedule(WARM_UP_JOBS)
        began_at = time.perf_counter()
        for _ in range(times):
            schedule(count)
        print(count * times / (time.perf_counter() - began_at))


if __name__ == "__main__":
    main()
