"""Schedules a backlog: `python -m benchmarks.throughput.fill MODULE JOB COUNT`."""

import sys
from importlib import import_module

if __name__ == "__main__":
    module, job, count = sys.argv[1:]
    import_module(module).fill(job, int(count))
