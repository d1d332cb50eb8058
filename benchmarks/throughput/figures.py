"""The measured figures, and the bounds that they must meet."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median

from benchmarks.table import render, spread

OURS = "django-future"
WHOLE_FROM = 1000  # larger values are shown without a fraction


@dataclass
class Figure:
    """One line of a table, with a value for each run."""

    what: str
    who: str
    settings: str = ""
    unit: str = "jobs/s"
    jobs: int = 0
    values: list[float] = field(default_factory=list)
    doubled: int = 0

    @property
    def typical(self) -> float:
        """The median of the runs."""
        return median(self.values)


@dataclass(frozen=True)
class Bound:
    """A limit for the best figure of `whose` in `what`: a value, or a ratio to the best of `of`.

    `whose` and `of` are prefixes of names, and `whose_end` is a suffix.
    """

    what: str
    least: float | None = None
    most: float | None = None
    of: str = ""
    whose: str = OURS
    whose_end: str = ""

    def check(self, figures: Iterable[Figure]) -> list[str]:
        """Return a line with the verdict."""
        among = [figure for figure in figures if figure.what == self.what]
        ours = _best([one for one in among if one.who.endswith(self.whose_end)], self.whose)
        theirs = _best(among, self.of) if self.of else None
        if ours is None or (self.of and theirs is None):
            name = f"{self.whose}{f' / {self.of}' if self.of else ''}"
            return [f"{self.what}: {name}", "not measured", "-", "-"]
        value = ours.typical / theirs.typical if theirs else ours.typical
        unit = "x" if theirs else f" {ours.unit}"
        against = f"{ours.who} / {theirs.who}" if theirs else ours.who
        return [f"{self.what}: {against}", *self._verdict(value, unit)]

    def _verdict(self, value: float, unit: str) -> list[str]:
        limit = self.least if self.least is not None else self.most
        holds = value >= limit if self.least is not None else value <= limit
        sign = ">=" if self.least is not None else "<="
        form = ".2f" if unit == "x" else ",.4g" if limit < WHOLE_FROM else ",.0f"
        return [f"{value:{form}}{unit}", f"{sign} {limit:,g}{unit}", "yes" if holds else "NO"]


def figures_table(figures: Sequence[Figure]) -> str:
    """Return a line for each figure, with the ratio of ours to it."""
    header = ["what", "who", "jobs a run", "median (range)", "ours / it"]
    return render(header, [_line(figure, figures) for figure in figures])


def settings_list(figures: Iterable[Figure]) -> str:
    """Return the settings of each contender."""
    stated = {figure.who: figure.settings for figure in figures if figure.settings}
    return "\n".join(f"- {who}: {settings}" for who, settings in stated.items())


def bounds_table(verdicts: Iterable[Sequence[str]]) -> str:
    """Return a line for each bound."""
    return render(["bound", "measured", "required", "holds"], verdicts)


def _line(figure: Figure, figures: Sequence[Figure]) -> list[str]:
    jobs = f"{figure.jobs:,}" if figure.jobs else "-"
    if not figure.values:
        return [figure.what, figure.who, jobs, "did not finish", "-"]
    form = ",.1f" if figure.typical < WHOLE_FROM else ",.0f"
    measured = f"{spread(figure.values, form)} {figure.unit}"
    return [figure.what, figure.who, jobs, measured, _ratio(figure, figures)]


def _ratio(figure: Figure, figures: Sequence[Figure]) -> str:
    ours = _best([other for other in figures if other.what == figure.what], OURS)
    if ours is None or figure.who.startswith(OURS):
        return "-"
    return f"{ours.typical / figure.typical:.2f}x"


def _best(figures: Iterable[Figure], prefix: str) -> Figure | None:
    among = [figure for figure in figures if figure.who.startswith(prefix) and figure.values]
    return max(among, key=lambda figure: figure.typical, default=None)
