"""One trial on one database: jobs, workers, their torment, and a calm in which all must end."""

import os
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from random import Random

from django.db import connection

from django_future.models import Worker
from tests.chaos import ledger
from tests.chaos.address import server_of, through
from tests.chaos.cluster import cluster_at
from tests.chaos.crew import Crew
from tests.chaos.proxy import proxy_to
from tests.chaos.tormentor import Tormentor
from tests.chaos.worker import BREAK_FENCE

SHORTEST_PAUSE, MAX_BACKOFF_SECONDS = 0.05, 0.3  # seconds between two deeds
CALM = 180.0  # seconds after the torment in which every job must end


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a trial is made of: the same seed makes the same jobs, and the same deeds in a row."""

    seed: int
    jobs: int = 5000
    workers: int = 4
    seconds: float = 120
    break_fence: bool = False


@dataclass
class Trial:
    """What happened, and what was found in the end."""

    deeds: Counter[str]
    processes: int
    verdict: ledger.Verdict


def run(plan: Plan, log: Path) -> Trial:
    """Run a trial on the project's database, which holds no jobs; the workers write to `log`."""
    url = os.environ.get("DATABASE_URL", "sqlite:///")
    over = timedelta(seconds=plan.seconds / 2)
    ledger.schedule(plan.jobs, over, Random(f"jobs {plan.seed}"))
    chance = Random(f"deeds {plan.seed}")
    environment = {BREAK_FENCE: "1"} if plan.break_fence else {}
    with ExitStack() as stack:
        proxy = None
        if connection.vendor != "sqlite":
            proxy = stack.enter_context(proxy_to(server_of(url)))
            environment |= through(proxy.port, url)
        crew = stack.enter_context(Crew(plan.workers, log, environment))
        tormentor = Tormentor(
            crew,
            chance,
            proxy=proxy,
            cluster=cluster_at(url),
            restarts=[time.monotonic() + plan.seconds / 4],
        )
        _torment(tormentor, crew, chance, plan.seconds)
        if proxy is not None:
            proxy.spare()
        calm_down(crew)
        left = crew.dismiss()
        verdict = ledger.judge(plan.jobs)
    if left:
        verdict.faults.append(f"{left} workers did not stop when they were told to")
    deeds = tormentor.deeds
    if proxy is not None:
        deeds.update(proxy.cuts)
    return Trial(deeds, crew.started, verdict)


def _torment(tormentor: Tormentor, crew: Crew, chance: Random, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and ledger.unfinished():
        crew.tend()
        tormentor.act()
        time.sleep(chance.uniform(SHORTEST_PAUSE, MAX_BACKOFF_SECONDS))


def calm_down(crew: Crew) -> None:
    """Leave the workers in peace, until all jobs have ended and the dead are forgotten."""
    crew.thaw()
    deadline = time.monotonic() + CALM
    while time.monotonic() < deadline:
        crew.tend()
        listed = set(Worker.objects.values_list("pid", flat=True))
        if crew.is_complete and listed == crew.pids and not ledger.unfinished():
            return
        time.sleep(MAX_BACKOFF_SECONDS)
