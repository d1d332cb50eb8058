"""A proxy on this machine that simulates a distant server: it delays each byte."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from threading import Event, Thread
from urllib.parse import urlsplit

CHUNK_BYTES = 65536
Server = tuple[str, int] | str  # an address, or the path of a socket


@contextmanager
def distant(server: Server, seconds: float) -> Iterator[int]:
    """Run a proxy to `server` with a delay of `seconds` each way, and yield its port."""
    with asyncio.Runner() as runner:
        stopped, is_ready, ports = asyncio.Event(), Event(), []

        async def run() -> None:
            listening = await asyncio.start_server(partial(_serve, server, seconds), "127.0.0.1", 0)
            ports.append(listening.sockets[0].getsockname()[1])
            is_ready.set()
            await stopped.wait()
            listening.close()

        loop = runner.get_loop()
        thread = Thread(target=loop.run_until_complete, args=(run(),), name="proxy")
        thread.start()
        try:
            is_ready.wait()
            yield ports[0]
        finally:
            loop.call_soon_threadsafe(stopped.set)
            thread.join()


@contextmanager
def distant_url(url: str, seconds: float) -> Iterator[str]:
    """Yield the URL of a database with a delay of `seconds` each way."""
    parts = urlsplit(url)
    with distant((str(parts.hostname), int(parts.port or 0)), seconds) as port:
        user = parts.netloc.rpartition("@")[0]
        yield parts._replace(netloc=f"{user}@127.0.0.1:{port}").geturl()


async def _serve(
    server: Server,
    seconds: float,
    client_in: asyncio.StreamReader,
    client_out: asyncio.StreamWriter,
) -> None:
    # CancelledError too: its connections break when the proxy ends.
    with suppress(OSError, asyncio.CancelledError):
        if isinstance(server, str):
            server_in, server_out = await asyncio.open_unix_connection(server)
        else:
            server_in, server_out = await asyncio.open_connection(*server)
        try:
            await asyncio.wait(
                [
                    asyncio.create_task(_forward(client_in, server_out, seconds)),
                    asyncio.create_task(_forward(server_in, client_out, seconds)),
                ],
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            for writer in (client_out, server_out):
                writer.transport.abort()


async def _forward(
    source: asyncio.StreamReader, target: asyncio.StreamWriter, seconds: float
) -> None:
    """Forward each chunk with the same delay. A chunk does not wait for the one before it."""
    loop = asyncio.get_running_loop()
    with suppress(OSError):
        while data := await source.read(CHUNK_BYTES):
            loop.call_later(seconds, target.write, data)
    await asyncio.sleep(seconds)
