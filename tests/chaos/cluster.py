"""A PostgreSQL of our own, which may be restarted while others are at work."""

import subprocess
from pathlib import Path
from random import Random
from urllib.parse import unquote, urlsplit

MODES = ["fast", "immediate"]  # immediate is a crash, and a recovery from the log


class Cluster:
    """The server that `tests.support.servers.postgresql_from_wheel` has started at an address."""

    def __init__(self, home: Path) -> None:
        self._data = home / "data"

    def restart(self, chance: Random) -> str:
        """Break every connection, start again, and return how."""
        mode = chance.choice(MODES)
        # The server noted how it was called: its program, and with it that of pg_ctl.
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
    """Return the cluster at an address, None if it is not one of our own."""
    home = Path(unquote(urlsplit(url).netloc.rpartition("@")[2]))
    return Cluster(home) if (home / "data" / "postmaster.opts").exists() else None
