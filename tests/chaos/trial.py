"""One trial on one database: jobs, disrupted workers, and a calm in which all jobs must end."""

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
from tests.chaos.disruptor import Disruptor
from tests.chaos.proxy import proxy_to
from tests.chaos.worker import BREAK_FENCE

MIN_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 0.05, 0.3  # between two disruptions
CALM_SECONDS = 180.0  # every job must end in this time after the disruptions


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The parameters of a trial. A seed repeats the jobs and the order of the disruptions."""

    seed: int
    jobs: int = 5000
    workers: int = 4
    seconds: float = 120
    break_fence: bool = False


@dataclass
class Trial:
    """The disruptions and the verdict of a trial."""

    disruptions: Counter[str]
    processes: int
    verdict: ledger.Verdict


def run(plan: Plan, log: Path) -> Trial:
    """Run a trial on a database without jobs. The workers write to `log`."""
    url = os.environ.get("DATABASE_URL", "sqlite:///")
    over = timedelta(seconds=plan.seconds / 2)
    ledger.schedule(plan.jobs, over, Random(f"jobs {plan.seed}"))
    chance = Random(f"disruptions {plan.seed}")
    environment = {BREAK_FENCE: "1"} if plan.break_fence else {}
    with ExitStack() as stack:
        proxy = None
        if connection.vendor != "sqlite":
            proxy = stack.enter_context(proxy_to(server_of(url)))
            environment |= through(proxy.port, url)
        crew = stack.enter_context(Crew(plan.workers, log, environment))
        disruptor = Disruptor(
            crew,
            chance,
            proxy=proxy,
            cluster=cluster_at(url),
            restarts=[time.monotonic() + plan.seconds / 4],
        )
        _disrupt(disruptor, crew, chance, plan.seconds)
        if proxy is not None:
            proxy.spare()
        calm_down(crew)
        running = crew.dismiss()
        verdict = ledger.judge(plan.jobs)
    if running:
        verdict.faults.append(f"{running} workers did not stop after SIGTERM")
    disruptions = disruptor.disruptions
    if proxy is not None:
        disruptions.update(proxy.cuts)
    return Trial(disruptions, crew.started, verdict)


def _disrupt(disruptor: Disruptor, crew: Crew, chance: Random, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and ledger.unfinished():
        crew.tend()
        disruptor.act()
        time.sleep(chance.uniform(MIN_PAUSE_SECONDS, MAX_PAUSE_SECONDS))


def calm_down(crew: Crew) -> None:
    """Wait until all jobs have ended, and only live workers are listed."""
    crew.thaw()
    deadline = time.monotonic() + CALM_SECONDS
    while time.monotonic() < deadline:
        crew.tend()
        listed = set(Worker.objects.values_list("pid", flat=True))
        if crew.is_complete and listed == crew.pids and not ledger.unfinished():
            return
        time.sleep(MAX_PAUSE_SECONDS)
