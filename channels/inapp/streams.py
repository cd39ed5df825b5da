"""Open live connections. None has a task: frames are written straight to the socket, and only a blocked one gets help.

A task with its stream objects costs some 10 KiB a connection; an entry here costs under 1 KiB. A write without a task
switch costs one system call. A peer that is gone shows when a heartbeat fails.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import suppress

import trio

from channels.inapp.payload import HEARTBEAT
from channels.inapp.settings import GatewaySettings
from engine.records.inbox import INBOX_GROUPS
from engine.records.roster import BLOCK_SIZE, Roster
from engine.records.words import Language


class Stream:
    """One live connection of one person. `last_ms` is the arrival of the last item that was written to it."""

    __slots__ = ("expires_ms", "is_open", "is_ready", "language", "last_ms", "missed", "number", "pending", "socket")

    def __init__(self, number: int, language: Language, expires_ms: int) -> None:
        self.number = number
        self.language = language
        self.expires_ms = expires_ms
        self.last_ms = 0
        self.is_ready = False  # the items before the live ones are still being read
        self.missed = False  # something live came meanwhile: read once more
        self.is_open = True
        self.socket: socket.socket | None = None
        self.pending: bytearray | None = None  # what a slow reader has not taken yet


class Streams:
    """All streams of this process, by person, and as a roster to cut a hint's people with."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings
        self._by_number: dict[int, list[Stream]] = {}
        self._wheel: list[dict[Stream, None]] = [{} for _ in range(settings.heartbeat_seconds)]
        self._spoke = 0  # where the next stream goes
        self._turn = 0  # whose turn it is to get a heartbeat
        self._nursery: trio.Nursery | None = None
        self.connected: Roster = {}
        self.count = 0
        self.dropped_slow = 0
        self.written = 0

    async def run(self, now_ms: Callable[[], int]) -> None:
        """Help blocked streams and send heartbeats, until cancelled; then close everything."""
        try:
            async with trio.open_nursery() as self._nursery:
                while True:
                    await trio.sleep(1)
                    self.beat(now_ms())
        finally:
            self._nursery = None
            for stream in list(self):
                self.close(stream)

    def __iter__(self) -> Iterator[Stream]:
        for streams in self._by_number.values():
            yield from streams

    def of(self, number: int) -> list[Stream]:
        return self._by_number.get(number, [])

    def to_repair(self, group: int) -> list[Stream]:
        """Ready streams of the people in one group (block % 16); those still reading are told to read once more."""
        found = []
        for stream in self:
            if (stream.number >> 8) % INBOX_GROUPS == group:
                if stream.is_ready:
                    found.append(stream)
                else:
                    stream.missed = True
        return found

    def add(self, stream: Stream) -> None:
        """Register a stream that is not ready yet; one too many of a person ends their oldest."""
        mine = self._by_number.setdefault(stream.number, [])
        while len(mine) >= self._settings.streams_per_person_max:
            self.close(mine[0])
        mine = self._by_number.setdefault(stream.number, mine)
        mine.append(stream)
        block, bit = divmod(stream.number, BLOCK_SIZE)
        self.connected[block] = self.connected.get(block, 0) | 1 << bit
        self.count += 1

    def attach(self, stream: Stream, connection: socket.socket) -> None:
        """From now on frames go straight to this non-blocking socket."""
        stream.socket = connection
        stream.is_ready = True
        self._spoke = (self._spoke + 1) % len(self._wheel)
        self._wheel[self._spoke][stream] = None

    def close(self, stream: Stream) -> None:
        """End a stream and forget it. Safe to repeat."""
        if not stream.is_open:
            return
        stream.is_open = stream.is_ready = False
        self.count -= 1
        mine = self._by_number[stream.number]
        mine.remove(stream)
        if not mine:
            del self._by_number[stream.number]
            self._disconnect(stream.number)
        for spoke in self._wheel:
            spoke.pop(stream, None)
        if stream.socket is not None:
            trio.lowlevel.notify_closing(stream.socket)
            stream.socket.close()

    def _disconnect(self, number: int) -> None:
        block, bit = divmod(number, BLOCK_SIZE)
        rest = self.connected[block] & ~(1 << bit)
        if rest:
            self.connected[block] = rest
        else:
            del self.connected[block]

    def push(self, stream: Stream, frame: bytes) -> None:
        """Write a frame now, or let it wait for a slow reader; one that is too slow is dropped.

        Hot path, 6 us: one `send` and no await. The caller takes a checkpoint now and then.
        """
        self.written += 1
        self._write(stream, frame)

    def _write(self, stream: Stream, frame: bytes) -> None:
        if stream.pending is not None:
            self._queue(stream, frame)
            return
        try:
            sent = stream.socket.send(frame)  # type: ignore[union-attr]
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self.close(stream)
            return
        if sent < len(frame):
            stream.pending = bytearray()
            self._queue(stream, frame[sent:])
            if stream.is_open and self._nursery is not None:
                self._nursery.start_soon(self._drain, stream)

    def _queue(self, stream: Stream, rest: bytes) -> None:
        assert stream.pending is not None
        # The rest of one frame always fits, however large it is; a second one must find room
        if stream.pending and len(stream.pending) + len(rest) > self._settings.backlog_bytes_max:
            self.dropped_slow += 1
            self.close(stream)
        else:
            stream.pending += rest

    async def _drain(self, stream: Stream) -> None:
        """Write what waits for one slow reader, as it takes it."""
        assert stream.socket is not None
        while stream.is_open and stream.pending:
            with trio.move_on_after(self._settings.write_seconds) as scope, suppress(trio.ClosedResourceError):
                await trio.lowlevel.wait_writable(stream.socket)
            if scope.cancelled_caught:
                self.dropped_slow += 1
                self.close(stream)
            if not stream.is_open:
                return
            try:
                del stream.pending[: stream.socket.send(stream.pending)]
            except (BlockingIOError, InterruptedError):
                continue
            except OSError:
                self.close(stream)
        stream.pending = None

    def beat(self, now_ms: int) -> None:
        """Once a second: a heartbeat to the streams of the next spoke, an end to those whose ticket has expired."""
        self._turn = (self._turn + 1) % len(self._wheel)
        for stream in list(self._wheel[self._turn]):
            if stream.expires_ms <= now_ms:
                self.close(stream)
            elif stream.pending is None:
                self._write(stream, HEARTBEAT)
