"""Alternating drains of several contenders."""

from collections.abc import Mapping, Sequence
from subprocess import CalledProcessError

from benchmarks.throughput.drain import Drain, Unfinished, drain
from benchmarks.throughput.drainer import Drainer
from benchmarks.throughput.figures import Figure
from benchmarks.throughput.plan import Plan

MIN_JOBS, MAX_JOBS = 300, 150_000
MARGIN = 1.3  # a drain should last a little longer than the minimum
MAX_GROWTH = 20  # of the number of jobs, from one attempt to the next

Groups = Mapping[str, Sequence[Drainer]]  # by the name of the comparison


def drain_in_turn(groups: Groups, plan: Plan, *, count: int | None = None) -> list[Figure]:
    """Measure all drainers one after the other, `plan.runs` times.

    Without `count`, each gets so many jobs that a drain takes at least `plan.seconds`.
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
    """Run it once. Without `count`, find a number of jobs that take at least `seconds`."""
    figure.jobs = count or MIN_JOBS
    while (done := _run(figure, drainer)) is not None:
        if count or figure.jobs >= MAX_JOBS or done.seconds >= seconds:
            print(f"  {figure.what}, {figure.who}: {done.rate:,.0f} jobs/s", flush=True)
            return
        figure.values.clear()
        growth = min(max(MARGIN * seconds / done.seconds, 1.5), MAX_GROWTH)
        figure.jobs = min(_round(figure.jobs * growth), MAX_JOBS)


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
    """Return `number` rounded to two significant digits."""
    return int(float(f"{number:.1e}"))
