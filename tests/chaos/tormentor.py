"""What is done to the workers, their connections and their server."""

import time
from collections import Counter
from random import Random
from subprocess import Popen

from django.db import OperationalError, connection, connections

from tests.chaos.cluster import Cluster
from tests.chaos.crew import HEARTBEAT, Crew
from tests.chaos.proxy import Proxy, SchedulingContext, Target

SHORTEST_FREEZE = 1.5 * HEARTBEAT  # past which a worker is believed lost
# A process that is stopped while it writes to SQLite stops all the others, too.
LONGEST_FREEZE = {"sqlite": 2 * HEARTBEAT}
SESSIONS = {
    "postgresql": "SELECT pid FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid() ORDER BY pid",
    "mysql": "SELECT id FROM information_schema.processlist"
    " WHERE db = DATABASE() AND id <> CONNECTION_ID() ORDER BY id",
}
END_SESSION = {"postgresql": "SELECT pg_terminate_backend(%s)", "mysql": "KILL %s"}


class Tormentor:
    """Does one thing after the other, chosen by `chance`, and keeps count."""

    def __init__(
        self,
        crew: Crew,
        chance: Random,
        *,
        proxy: Proxy | None,
        cluster: Cluster | None,
        restarts: list[float],
    ) -> None:
        self.deeds: Counter[str] = Counter()
        self._crew = crew
        self._chance = chance
        self._proxy = proxy
        self._cluster = cluster
        self._restarts = restarts
        self._acts = {self._kill: 2, self._terminate: 2, self._freeze: 3}
        if proxy is not None:
            self._acts |= {self._end_session: 3, self._cut: 4}

    def act(self) -> None:
        """Do one thing."""
        if self._cluster and self._restarts and time.monotonic() >= self._restarts[0]:
            del self._restarts[0]
            connections.close_all()
            self.deeds[f"restart ({self._cluster.restart(self._chance)})"] += 1
            return
        [deed] = self._chance.choices(list(self._acts), weights=list(self._acts.values()))
        deed()

    def _kill(self) -> None:
        for victim in self._victim():
            victim.kill()
            self.deeds["SIGKILL"] += 1

    def _terminate(self) -> None:
        for victim in self._victim():
            self._crew.terminate(victim)
            self.deeds["SIGTERM"] += 1

    def _freeze(self) -> None:
        longest = LONGEST_FREEZE.get(connection.vendor, 3 * HEARTBEAT)
        seconds = self._chance.uniform(SHORTEST_FREEZE, longest)
        for victim in self._victim():
            self._crew.freeze(victim, seconds)
            self.deeds["SIGSTOP and SIGCONT"] += 1

    def _victim(self) -> list[Popen[bytes]]:
        """Return one, or none if all are stopped."""
        return self._chance.sample(self._crew.victims, min(len(self._crew.victims), 1))

    def _end_session(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(SESSIONS[connection.vendor])
            sessions = [session for (session,) in cursor.fetchall()]
            if not sessions:
                return
            try:
                cursor.execute(END_SESSION[connection.vendor], [self._chance.choice(sessions)])
            except OperationalError:  # it has just ended by itself
                return
        self.deeds["session ended by the server"] += 1

    def _cut(self) -> None:
        if self._proxy is not None:
            self._proxy.kill_session(
                self._chance.choice(list(SchedulingContext)), self._chance.choice(list(Target))
            )
