"""The disruptions of workers, their connections and their server."""

import time
from collections import Counter
from random import Random
from subprocess import Popen

from django.db import OperationalError, connection, connections

from tests.chaos.cluster import Cluster
from tests.chaos.crew import HEARTBEAT_SECONDS, Crew
from tests.chaos.proxy import CutMoment, Proxy, Target

MIN_FREEZE_SECONDS = 1.5 * HEARTBEAT_SECONDS  # after this, a worker counts as lost
# A process that is suspended while it writes to SQLite blocks all others, too.
MAX_FREEZE_SECONDS = {"sqlite": 2 * HEARTBEAT_SECONDS}
SESSIONS = {
    "postgresql": "SELECT pid FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid() ORDER BY pid",
    "mysql": "SELECT id FROM information_schema.processlist"
    " WHERE db = DATABASE() AND id <> CONNECTION_ID() ORDER BY id",
}
END_SESSION = {"postgresql": "SELECT pg_terminate_backend(%s)", "mysql": "KILL %s"}


class Disruptor:
    """Executes disruptions chosen by `chance`, and counts them."""

    def __init__(
        self,
        crew: Crew,
        chance: Random,
        *,
        proxy: Proxy | None,
        cluster: Cluster | None,
        restarts: list[float],
    ) -> None:
        self.disruptions: Counter[str] = Counter()
        self._crew = crew
        self._chance = chance
        self._proxy = proxy
        self._cluster = cluster
        self._restarts = restarts
        self._weights = {self._kill: 2, self._terminate: 2, self._freeze: 3}
        if proxy is not None:
            self._weights |= {self._end_session: 3, self._cut: 4}

    def act(self) -> None:
        """Execute one disruption."""
        if self._cluster and self._restarts and time.monotonic() >= self._restarts[0]:
            del self._restarts[0]
            connections.close_all()
            self.disruptions[f"restart ({self._cluster.restart(self._chance)})"] += 1
            return
        [disruption] = self._chance.choices(
            list(self._weights), weights=list(self._weights.values())
        )
        disruption()

    def _kill(self) -> None:
        for victim in self._victim():
            victim.kill()
            self.disruptions["SIGKILL"] += 1

    def _terminate(self) -> None:
        for victim in self._victim():
            self._crew.terminate(victim)
            self.disruptions["SIGTERM"] += 1

    def _freeze(self) -> None:
        longest = MAX_FREEZE_SECONDS.get(connection.vendor, 3 * HEARTBEAT_SECONDS)
        seconds = self._chance.uniform(MIN_FREEZE_SECONDS, longest)
        for victim in self._victim():
            self._crew.freeze(victim, seconds)
            self.disruptions["SIGSTOP and SIGCONT"] += 1

    def _victim(self) -> list[Popen[bytes]]:
        """Return one process, or none if all are suspended."""
        return self._chance.sample(self._crew.victims, min(len(self._crew.victims), 1))

    def _end_session(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(SESSIONS[connection.vendor])
            sessions = [session for (session,) in cursor.fetchall()]
            if not sessions:
                return
            try:
                cursor.execute(END_SESSION[connection.vendor], [self._chance.choice(sessions)])
            except OperationalError:  # the session has just ended
                return
        self.disruptions["session ended by the server"] += 1

    def _cut(self) -> None:
        if self._proxy is not None:
            self._proxy.cut_next(
                self._chance.choice(list(CutMoment)), self._chance.choice(list(Target))
            )
