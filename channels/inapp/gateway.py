"""The inbox gateway: a small HTTP/1.1 server for people's apps, with live streams.

Its own server because of decision 10: a general ASGI server on trio costs 168 us a live delivery and 27 KiB an idle
connection, this one about a tenth. Requests run through h11 in a task each; a live stream keeps neither.
"""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import NamedTuple

import trio

from channels.inapp.bodies import Bodies, ReadEvents
from channels.inapp.exchange import Exchange
from channels.inapp.live import Live
from channels.inapp.problems import Problem
from channels.inapp.routes import Lives, Routes
from channels.inapp.settings import GatewaySettings
from channels.inapp.streams import Streams
from channels.inapp.turnstile import Turnstile
from channels.inapp.wording import ReadFamilies, Wording
from engine.ports import Inbox
from engine.records.errors import StoreUnavailable
from engine.rules.tickets import SECRET_BYTES_MIN

_BACKLOG = 1_024
_CROWD = 1.1  # up to this many times the cap a connection is still told that there are too many
_LOG = logging.getLogger("klokke.gateway")
_BROKEN = Problem("internal", "Something failed here; it was noted.")
_NOT_NOW = Problem("store-unavailable", "The inbox cannot be read right now; try again shortly.", Retry_After="2")
_FULL = Problem("overloaded", "Too many connections; try again shortly.", Retry_After="5")


class Figures(NamedTuple):
    """What the metrics may want to know of a gateway."""

    connections: int  # requests in hand and live streams
    streams: int
    frames_written: int
    streams_dropped_slow: int
    gaps_repaired: int


class Gateway:
    """Serves inboxes until cancelled.

    Args:
        inbox: the inbox in the store.
        events: reads events and their stops: `engine.ports.Work.events`.
        families: reads whose children events name: `engine.ports.Directory.families`.
        secret: what tickets are signed with, at least 32 bytes; the intake's (`engine.rules.tickets.mint`).
        lives: says whether the person of a ticket is still on the platform.
        settings: limits and deadlines.
        now_ms: the wall clock, against which tickets expire.
    """

    def __init__(
        self,
        inbox: Inbox,
        events: ReadEvents,
        families: ReadFamilies,
        secret: bytes,
        lives: Lives,
        settings: GatewaySettings | None = None,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        if len(secret) < SECRET_BYTES_MIN:
            raise ValueError(f"secret: give at least {SECRET_BYTES_MIN} random bytes")
        self._settings = settings or GatewaySettings()
        self._now_ms = now_ms
        bodies, wording = Bodies(events), Wording(families)
        self._streams = Streams(self._settings)
        self._live = Live(inbox, bodies, wording, self._streams, self._settings.gap_check_seconds)
        turnstile = Turnstile(self._settings.requests_per_second, self._settings.requests_burst)
        self._routes = Routes(
            inbox, bodies, wording, self._streams, turnstile, secret, lives, now_ms, self._live.heard_ms
        )
        self._exchanges = 0

    @property
    def figures(self) -> Figures:
        return Figures(
            connections=self._exchanges + self._streams.count,
            streams=self._streams.count,
            frames_written=self._streams.written,
            streams_dropped_slow=self._streams.dropped_slow,
            gaps_repaired=self._live.repairs,
        )

    async def run(self, *, task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled; `task_status` hears the port once the door is open."""
        listeners = await trio.open_tcp_listeners(self._settings.port, host=self._settings.host, backlog=_BACKLOG)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._streams.run, self._now_ms)
            await nursery.start(self._live.run)
            nursery.start_soon(partial(trio.serve_listeners, self._serve, listeners))
            task_status.started(listeners[0].socket.getsockname()[1])

    async def _serve(self, stream: trio.SocketStream) -> None:
        if self._exchanges + self._streams.count > self._settings.connections_max * _CROWD:
            await trio.aclose_forcefully(stream)  # beyond the cap and the room for saying so
            return
        self._exchanges += 1
        try:
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError):
                await self._converse(Exchange(stream, self._settings))
        except OSError as error:
            if error.errno not in (errno.EBADF, errno.ENOTCONN, errno.ECONNRESET):
                raise
        except Exception as error:
            # No fault in one connection may end the process that serves all the others. Its text may hold content.
            _LOG.error("connection failed: %s", type(error).__name__)
        finally:
            self._exchanges -= 1
            await trio.aclose_forcefully(stream)

    async def _converse(self, exchange: Exchange) -> None:
        while True:
            try:
                request = await exchange.next_request()
                if request is None:
                    return
                if self._exchanges + self._streams.count > self._settings.connections_max:
                    raise _FULL
                if not await self._routes.serve(request, exchange):
                    return
            except (OSError, trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError):
                raise
            except Exception as error:
                problem = _problem(error)
                if not exchange.can_answer or not await exchange.refuse(problem, close=problem.status in _FINAL):
                    await exchange.linger()
                    return


def _problem(error: Exception) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, StoreUnavailable):
        return _NOT_NOW
    # A fault of ours must not let one request end everybody's streams. The type says where to look; the text might
    # hold what nobody should read.
    _LOG.error("request failed: %s", type(error).__name__)
    return _BROKEN


_FINAL = (400, 408, 413, 431, 500, 501)
"""After these the connection cannot be trusted to stand at the beginning of a request, or should go elsewhere."""
