"""The tables of the lateness benchmark. Each line has its bound, and whether it holds."""

from collections.abc import Callable, Iterable, Sequence

from benchmarks.lateness.idle import Idleness
from benchmarks.lateness.sample import Sample
from benchmarks.table import render, spread

AHEAD, MILLION, NOW = "random times", "the same, others waiting", "'0s' from another process"
FAR = "the same, server far away"
RECURRING, ONE_OFF = "runs of recurring jobs", "one-off jobs among them"
MAX_SLOWDOWN = 1.3  # with a million jobs waiting, and of runs in comparison with one-off jobs
# Seconds and statements per minute. Six statements look for due runs of recurring jobs.
MAX_IDLE_CPU, MAX_IDLE_STATEMENTS = 0.2, 66
MAX_POLLING_RATIO = 2  # statements of a worker that polls, to those of one that NOTIFY wakes

# (measurement, contender): the maximum of the 50th and 99th percentile in milliseconds.
BOUNDS: dict[tuple[str, str], tuple[float | None, float]] = {
    (AHEAD, "django-future, PostgreSQL"): (1.5, 5),
    (AHEAD, "django-future, SQLite"): (None, 10),
    (AHEAD, "django-future, MariaDB"): (None, 10),
}
NO_LATER_THAN_CELERY = (AHEAD, "django-future, PostgreSQL")
NO_LATER_THAN_HUEY = (NOW, "django-future, PostgreSQL")

Check = tuple[str, bool]


def lateness_table(samples: Sequence[Sample]) -> str:
    """Return a line for each sample: its lateness in milliseconds, and its bounds."""
    header = [
        "what",
        "who",
        "jobs",
        "p50 ms",
        "p99 ms",
        "worst ms",
        "machine busy",
        "bound",
        "holds",
    ]
    return render(header, (_lateness_line(sample, samples) for sample in samples))


def idle_table(idlenesses: Iterable[Idleness]) -> str:
    """Return a line for each idle worker."""
    header = ["who", "idle s", "CPU s", "statements", "probes", "bound", "holds"]
    idlenesses = list(idlenesses)
    return render(header, (_idle_line(idle, idlenesses) for idle in idlenesses))


def _lateness_line(sample: Sample, samples: Sequence[Sample]) -> list[str]:
    return [
        sample.what,
        sample.who,
        str(sum(map(len, sample.runs))),
        spread(sample.each(50)),
        spread(sample.each(99)),
        spread(sample.each(100), ".1f"),
        spread(sample.busy, ".0%"),
        *_verdict([*_absolute(sample), *_relative(sample, samples)]),
    ]


def _idle_line(idle: Idleness, idlenesses: Sequence[Idleness]) -> list[str]:
    checks: list[Check] = []
    if idle.statements is not None:
        share = idle.seconds / 60
        checks.append((f"CPU <= {MAX_IDLE_CPU * share:.2g}", idle.cpu <= MAX_IDLE_CPU * share))
        woken = [other for other in idlenesses if other.who == "django-future, PostgreSQL"]
        if idle.who == "django-future, MariaDB" and woken:
            most = MAX_POLLING_RATIO * (woken[0].statements or 0)
        else:
            most = MAX_IDLE_STATEMENTS * share
        checks.append((f"statements <= {most:.0f}", idle.statements <= most))
    return [
        idle.who,
        f"{idle.seconds:.0f}",
        f"{idle.cpu:.2f}",
        "-" if idle.statements is None else str(idle.statements),
        str(idle.probes or "-"),
        *_verdict(checks),
    ]


def _absolute(sample: Sample) -> Iterable[Check]:
    p50, p99 = BOUNDS.get((sample.what, sample.who), (None, None))
    for percent, most in ((50, p50), (99, p99)):
        if most is not None:
            yield f"p{percent} <= {most}", sample.typical(percent) <= most


def _relative(sample: Sample, samples: Sequence[Sample]) -> Iterable[Check]:
    if (sample.what, sample.who) == NO_LATER_THAN_CELERY:
        for celery in _others(samples, sample.what, lambda who: who.startswith("Celery")):
            ratio = sample.typical(99) / celery.typical(99)
            yield f"p99 {ratio:.2f}x Celery's, <= 1", ratio <= 1
    if (sample.what, sample.who) == NO_LATER_THAN_HUEY:
        for huey in _others(samples, sample.what, lambda who: who.startswith("huey")):
            ratio = sample.typical(50) / huey.typical(50)
            yield f"p50 {ratio:.2f}x huey's, <= 1", ratio <= 1
    reference = {MILLION: AHEAD, RECURRING: ONE_OFF}.get(sample.what)
    if reference is not None:
        for other in _others(samples, reference, lambda who: who == sample.who):
            for percent in (50, 99):
                ratio = sample.typical(percent) / other.typical(percent)
                yield f"p{percent} {ratio:.2f}x, <= {MAX_SLOWDOWN}", ratio <= MAX_SLOWDOWN


def _others(samples: Sequence[Sample], what: str, matches: Callable[[str], bool]) -> list[Sample]:
    return [other for other in samples if other.what == what and matches(other.who)]


def _verdict(checks: Sequence[Check]) -> list[str]:
    if not checks:
        return ["-", "-"]
    return ["; ".join(text for text, _ in checks), "yes" if all(ok for _, ok in checks) else "NO"]
