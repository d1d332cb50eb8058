"""A proxy that cuts connections to the database at a commit, or at a given command."""

import asyncio
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from threading import Event, Thread

SIZE = 65536
# After MySQL's command byte, after PostgreSQL's length, or after the UPDATE of a completion.
COMMIT = re.compile(rb"[\x03\x0b]COMMIT|; COMMIT\x00")
CLAIM = re.compile(rb"SET .?status.? = 'running'")
CLAIM_AT_ONCE = re.compile(rb"synchronous_commit TO off")  # only claims use it

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class CutMoment(Enum):
    """When to cut: before the delivery of a command, or after it and before the answer."""

    BEFORE = "before"
    AFTER = "after"


class Target(Enum):
    """What to cut: any commit, or the commit of a claim."""

    COMMIT = "commit"
    CLAIM = "claim"


@dataclass
class _Line:
    last_sent: bytes = b""  # by the client
    is_doomed: bool = False


class Proxy:
    """Forwards data between clients and a server, and cuts connections."""

    def __init__(self, server: tuple[str, int] | str) -> None:
        self.port = 0
        self.cuts: Counter[str] = Counter()
        self._server = server
        self._planned: dict[Target, CutMoment] = {}
        self._is_frozen = False
        self._commands_left = 0  # until the one to cut, 0 if there is none
        self._command_moment = CutMoment.BEFORE

    def cut_next(self, moment: CutMoment, target: Target) -> None:
        """Cut the connection that sends `target` next."""
        self._planned[target] = moment

    def cut_command(self, moment: CutMoment, number: int) -> None:
        """Cut the connection that sends the command with this number, counted from now."""
        self._command_moment, self._commands_left = moment, number

    def spare(self) -> bool:
        """Stop cutting, and return whether a planned command was never sent."""
        was_planned = self._commands_left > 0
        self._planned.clear()
        self._commands_left = 0
        return was_planned

    def freeze(self) -> None:
        """Forward nothing any more, and keep the connections open, as in a half-open network."""
        self._is_frozen = True

    async def serve(
        self, client_in: asyncio.StreamReader, client_out: asyncio.StreamWriter
    ) -> None:
        """Serve one client until one side disconnects, or the connection is cut."""
        writers = [client_out]
        line = _Line()
        # CancelledError too: the end of the proxy breaks its connections.
        with suppress(OSError, asyncio.CancelledError):
            try:
                server_in, server_out = await self._connect()
                writers.append(server_out)
                async with asyncio.TaskGroup() as group:
                    up = group.create_task(self._pass_up(client_in, server_out, line))
                    down = group.create_task(self._pass_down(server_in, client_out, line))
                    await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
                    up.cancel()
                    down.cancel()
            finally:
                for writer in writers:
                    writer.transport.abort()

    async def _connect(self) -> Streams:
        if isinstance(self._server, str):
            return await asyncio.open_unix_connection(self._server)
        return await asyncio.open_connection(*self._server)

    async def _pass_up(
        self, client: asyncio.StreamReader, server: asyncio.StreamWriter, line: _Line
    ) -> None:
        with suppress(OSError):
            while data := await client.read(SIZE):
                await self._stay_frozen()
                moment = self._moment(line.last_sent, data)
                line.last_sent = data
                if moment is CutMoment.BEFORE:
                    return
                line.is_doomed |= moment is CutMoment.AFTER
                server.write(data)
                await server.drain()

    async def _pass_down(
        self, server: asyncio.StreamReader, client: asyncio.StreamWriter, line: _Line
    ) -> None:
        with suppress(OSError):
            while data := await server.read(SIZE):
                await self._stay_frozen()
                if line.is_doomed:  # this is the answer, which must not arrive
                    return
                client.write(data)
                await client.drain()

    async def _stay_frozen(self) -> None:
        while self._is_frozen:
            await asyncio.sleep(0.05)

    def _moment(self, before: bytes, data: bytes) -> CutMoment | None:
        if self._commands_left and _is_command(data):
            self._commands_left -= 1
            if not self._commands_left:
                return self._command_moment
        for target in list(self._planned):
            moment = self._planned.get(target)
            if moment is not None and _is_sent(target, before, data):
                self._planned.pop(target, None)
                self.cuts[f"line cut {moment.value} a {target.value}"] += 1
                return moment
        return None


def _is_command(data: bytes) -> bool:
    """Return whether `data` is a command, and not a message of the login."""
    is_of_postgresql = data[:1] in {b"Q", b"P", b"B"}
    is_of_mysql = data[3:5] == b"\x00\x03"  # the first packet, a query
    return is_of_postgresql or is_of_mysql


def _is_sent(target: Target, before: bytes, data: bytes) -> bool:
    if target is Target.CLAIM and data.startswith(b"Q"):
        return CLAIM_AT_ONCE.search(data) is not None  # on PostgreSQL, a claim commits by itself
    is_wanted = target is Target.COMMIT or CLAIM.search(before) is not None
    return is_wanted and COMMIT.search(data) is not None


@contextmanager
def proxy_to(server: tuple[str, int] | str) -> Iterator[Proxy]:
    """Run a proxy to a server in a thread. The server has an address or a socket."""
    proxy, is_ready = Proxy(server), Event()
    loop = asyncio.new_event_loop()
    stopped = asyncio.Event()

    async def run() -> None:
        listening = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
        proxy.port = listening.sockets[0].getsockname()[1]
        is_ready.set()
        await stopped.wait()
        listening.close()

    def run_loop() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(run())

    thread = Thread(target=run_loop, name="proxy")
    thread.start()
    try:
        is_ready.wait()
        yield proxy
    finally:
        loop.call_soon_threadsafe(stopped.set)
        thread.join()
