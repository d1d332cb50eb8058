"""Drains of several contenders, one after the other, again and again."""

from collections.abc import Mapping, Sequence
from subprocess import CalledProcessError

from benchmarks.throughput.drain import Drain, Unfinished, drain
from benchmarks.throughput.drainer import Drainer
from benchmarks.throughput.figures import Figure
from benchmarks.throughput.plan import Plan

FIRST, MOST = 300, 150_000  # jobs
TARGET = 1.3  # by how much more than long enough a drain should last
BACKOFF_FACTOR = 20  # at most, from one attempt to the next

Groups = Mapping[str, Sequence[Drainer]]  # by what is compared


def drain_in_turn(groups: Groups, plan: Plan, *, count: int | None = None) -> list[Figure]:
    """Measure every drainer `plan.runs` times, each time all in turn.

    Without `count` each gets as many jobs as it is busy with for `plan.seconds`.
    """
    entries = [
        (Figure(what, one.name, one.settings), one)
        for what, drainers in groups.items()
        for one in drainers
    ]
    for number in range(plan.runs):
        for figure, drainer in entries:
            if number == 0:
                _run_first(figure, drainer, count, plan.seconds)
            elif figure.values:
                _run(figure, drainer)
        print(f"  run {number + 1} of {plan.runs} done", flush=True)
    return [figure for figure, _ in entries]


def _run_first(figure: Figure, drainer: Drainer, count: int | None, seconds: float) -> None:
    """Run it once, with as many jobs as last for so long if it is not said how many."""
    figure.jobs = count or FIRST
    while (done := _run(figure, drainer)) is not None:
        if count or figure.jobs >= MOST or done.seconds >= seconds:
            print(f"  {figure.what}, {figure.who}: {done.rate:,.0f} jobs/s", flush=True)
            return
        figure.values.clear()
        growth = min(max(TARGET * seconds / done.seconds, 1.5), BACKOFF_FACTOR)
        figure.jobs = min(_round(figure.jobs * growth), MOST)


def _run(figure: Figure, drainer: Drainer) -> Drain | None:
    try:
        done = drain(drainer, figure.jobs)
    except (Unfinished, CalledProcessError) as error:
        print(f"*** {figure.what}, {figure.who} did not finish: {error} ***", flush=True)
        return None
    figure.values.append(done.rate)
    figure.doubled += done.doubled
    if done.doubled:
        print(f"*** {figure.what}, {figure.who}: {done.doubled} jobs started twice. ***")
    return done


def _round(number: float) -> int:
    """Return `number` with two digits that are not zero."""
    return int(float(f"{number:.1e}"))
