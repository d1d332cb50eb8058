"""A description of the machine, and how busy it is."""

import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryFile


def describe_machine() -> str:
    """Return the processor, the memory, the system and the load, in one line."""
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} x {_first('/proc/cpuinfo', 'model name') or platform.machine()}, "
        f"{_memory()}, {platform.system()} {platform.release()}, "
        f"{platform.python_implementation()} {platform.python_version()}, "
        f"load {load:.2f} before the first run"
    )


def describe_disk() -> str:
    """Return how long a durable write takes on the disk of the databases."""
    with TemporaryFile() as file:
        seconds = sorted(_seconds_to_sync(file.fileno()) for _ in range(200))
    return f"fdatasync of 8 KiB takes {seconds[len(seconds) // 2] * 1e6:.0f} us (median of 200)"


def busy_since(before: tuple[int, int]) -> float:
    """Return the load of all processors since `before`, a result of `processor_times`."""
    busy, idle = (now - then for now, then in zip(processor_times(), before, strict=True))
    return busy / max(busy + idle, 1)


def processor_times() -> tuple[int, int]:
    """Return the busy and the idle time of the processors, in ticks of the system."""
    ticks = [int(number) for number in _first("/proc/stat", "cpu ", " ").split()]
    idle = sum(ticks[3:5])  # waiting for a disk is idle too
    return sum(ticks[:8]) - idle, idle


def versions(*packages: str) -> str:
    """Return the installed versions of `packages`, in one line."""
    return ", ".join(f"{package} {_version(package)}" for package in packages)


def _seconds_to_sync(file: int) -> float:
    os.pwrite(file, os.urandom(8192), 0)
    began_at = time.perf_counter()
    os.fdatasync(file)
    return time.perf_counter() - began_at


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(not installed)"


def _memory() -> str:
    kibibytes = int((_first("/proc/meminfo", "MemTotal") or "0 kB").split()[0])
    return f"{kibibytes / 2**20:.0f} GiB"


def _first(path: str, label: str, separator: str = ":") -> str:
    lines = Path(path).read_text().splitlines() if Path(path).exists() else []
    values = [line.partition(separator)[2].strip() for line in lines if line.startswith(label)]
    return values[0] if values else ""
