"""A temporary PostgreSQL cluster, which can be restarted while workers run."""

import subprocess
from pathlib import Path
from random import Random
from urllib.parse import unquote, urlsplit

MODES = ["fast", "immediate"]  # immediate is a crash, and a recovery from the log


class Cluster:
    """A server that `tests.support.servers.postgresql_from_wheel` has started."""

    def __init__(self, home: Path) -> None:
        self._data = home / "data"

    def restart(self, chance: Random) -> str:
        """Restart the server, which breaks all connections, and return the mode."""
        mode = chance.choice(MODES)
        # postmaster.opts contains the path of the server, which is next to pg_ctl.
        program = self._started_with().partition(" ")[0]
        pg_ctl = str(Path(program).with_name("pg_ctl"))
        log = str(self._data.parent / "log")
        subprocess.run(
            [pg_ctl, "-D", str(self._data), "-w", "-m", mode, "-l", log, "restart"],
            user=self._data.stat().st_uid, check=True, stdout=subprocess.DEVNULL, cwd="/",
        )  # fmt: skip
        return mode

    def _started_with(self) -> str:
        return (self._data / "postmaster.opts").read_text()


def cluster_at(url: str) -> Cluster | None:
    """Return the cluster at a URL, or None if it is not a temporary one."""
    home = Path(unquote(urlsplit(url).netloc.rpartition("@")[2]))
    return Cluster(home) if (home / "data" / "postmaster.opts").exists() else None
