"""The one connection to the store, and the only file that imports `redis`.

redis-py is synchronous here: commands are packed into one pipeline and run in a worker thread, a connection each.
Measured (see docs/decisions/0002-libraries.md): deep pipelines cost 14 us a command, an asyncio or trio client
26-63 us. A pipeline is not a transaction: what must be atomic is a script.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import redis
import trio

from engine.records.errors import StoreUnavailable

ANSWER_SECONDS_MAX = 30.0  # a frozen store is an error, not a wait without end
CONNECT_SECONDS_MAX = 5.0
CONNECTIONS_MAX = 8
_SCRIPTS = Path(__file__).parent / "scripts"

_REFUSALS = (redis.exceptions.OutOfMemoryError, redis.exceptions.ReadOnlyError, redis.exceptions.BusyLoadingError)

Argument = bytes | str | int
Command = tuple[Argument, ...]
Reply = Any  # what hiredis gives: bytes, int, None, or a list of them; errors come as exceptions


class Script:
    """A Lua script by the name of its file; sent by its hash, loaded where the store does not know it yet."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.source = (_SCRIPTS / f"{name}.lua").read_bytes()
        self.sha = hashlib.sha1(self.source).hexdigest()

    def call(self, keys: Sequence[Argument], arguments: Iterable[Argument]) -> Command:
        """The command that runs the script on these keys."""
        return ("EVALSHA", self.sha, len(keys), *keys, *arguments)


class Link:
    """Pipelines to one store. Safe to use from many tasks; each pipeline in flight holds a connection of its own.

    Args:
        url: `unix:///path`, `redis://host:port/0` or `rediss://...`.
        scripts: every script that will be called through this link.
    """

    def __init__(self, url: str, scripts: Iterable[Script] = ()) -> None:
        self.url = url
        self._sources = {script.sha: script.source for script in scripts}
        self._pool = redis.ConnectionPool.from_url(
            url,
            socket_timeout=ANSWER_SECONDS_MAX,
            socket_connect_timeout=CONNECT_SECONDS_MAX,
            protocol=2,
            retry=None,
            max_connections=CONNECTIONS_MAX + 2,
        )
        self._limiter = trio.CapacityLimiter(CONNECTIONS_MAX)

    def know(self, scripts: Iterable[Script]) -> None:
        """Add scripts that will be called through this link."""
        self._sources.update((script.sha, script.source) for script in scripts)

    async def run(self, commands: Sequence[Command]) -> list[Reply]:
        """Send commands as one pipeline and return their replies in order.

        Raises:
            StoreUnavailable: no connection, no answer in time, or the store refuses writes (full, read-only).
        """
        if not commands:
            return []
        return await trio.to_thread.run_sync(partial(self.run_now, commands), limiter=self._limiter)

    async def ask(self, *command: Argument) -> Reply:
        """Send one command."""
        return (await self.run([command]))[0]

    def run_now(self, commands: Sequence[Command]) -> list[Reply]:
        """The same, blocking: for threads and command-line tools."""
        try:
            replies = self._exchange(commands)
            missing = [at for at, reply in enumerate(replies) if isinstance(reply, redis.exceptions.NoScriptError)]
            if missing:
                self._exchange([("SCRIPT", "LOAD", source) for source in self._sources.values()])
                again = self._exchange([commands[at] for at in missing])
                for at, reply in zip(missing, again, strict=True):
                    replies[at] = reply
        except (redis.ConnectionError, redis.TimeoutError, OSError) as error:
            raise StoreUnavailable(f"the store did not answer ({type(error).__name__})") from error
        for reply in replies:
            if isinstance(reply, Exception):
                raise _refused(reply)
        return replies

    def _exchange(self, commands: Sequence[Command]) -> list[Reply]:
        connection: Any = self._pool.get_connection()
        try:
            connection.send_packed_command(connection.pack_commands(commands), check_health=False)
            return [_read(connection) for _ in commands]
        except BaseException:
            connection.disconnect()
            raise
        finally:
            self._pool.release(connection)

    def close(self) -> None:
        """Close all connections."""
        self._pool.disconnect()

    async def listen(self, channels: Sequence[str], heard: trio.MemorySendChannel[tuple[str, bytes]]) -> None:
        """Subscribe, and hand on every published message until cancelled; reconnects after a lost store.

        A message that finds the channel full is dropped: what is published is a hint, never the record.
        """
        while True:
            client: Any = redis.Redis(connection_pool=self._pool)
            subscriber = client.pubsub(ignore_subscribe_messages=True)
            try:
                await trio.to_thread.run_sync(partial(subscriber.subscribe, *channels))
                while True:
                    message = await trio.to_thread.run_sync(partial(subscriber.get_message, timeout=0.5))
                    if message is not None:
                        _offer(heard, message["channel"].decode(), message["data"])
            except (redis.ConnectionError, redis.TimeoutError, OSError):
                await trio.sleep(0.5)
            finally:
                subscriber.close()


def _read(connection: Any) -> Reply:
    try:
        return connection.read_response()
    except redis.ResponseError as error:
        return error


def _refused(error: Exception) -> Exception:
    if isinstance(error, _REFUSALS) or str(error).startswith(("MISCONF", "CLUSTERDOWN", "MASTERDOWN", "BUSY", "OOM")):
        return StoreUnavailable(f"the store refuses to serve ({type(error).__name__})")
    return error


def _offer(heard: trio.MemorySendChannel[tuple[str, bytes]], channel: str, data: bytes) -> None:
    with suppress(trio.WouldBlock):
        heard.send_nowait((channel, data))
