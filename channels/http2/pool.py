"""Connections to one origin: opened when needed, grown with the load, replaced without a gap; and `submit`.

The life of a batch: `submit` puts a job in the queue and wakes the connections; each takes a piece of it as its streams
allow; answers fill the job's results; what was surely not processed goes back to the queue, a few times at most; what
got no stream in the first half of its time is given up as not sent; what got no answer in time is unknown.
"""

from __future__ import annotations

import random
import ssl
from collections.abc import Callable
from typing import NamedTuple

import trio

from channels.http2.connection import ConnectFailed, Connection, Origin, open_connection
from channels.http2.growth import Growth, Look
from channels.http2.jobs import Answer, Failure, FailureKind, Job, Queue, Requests, Result
from channels.http2.session import Limits

TICK_SECONDS = 0.05  # how often deadlines and growth are looked at while there is work
IDLE_TICK_SECONDS = 15.0
BACKOFF_FIRST_SECONDS = 0.1
BACKOFF_MAX_SECONDS = 30.0
FAILURES_BEFORE_GIVING_UP = 3  # with no connection left, what waits is handed back after so many failures


class PoolSettings(NamedTuple):
    """How a pool behaves.

    `starts_with_one`: each new connection has one stream until its first 200 (APNs with provider tokens).
    `retires`: says of an answer other than 200 that the connection which brought it should take nothing more.
    `age_seconds_max`: an older connection is replaced; providers like them to live for hours to days.
    """

    origin: Origin
    connections_max: int = 16  # of 1,000 streams at 60 ms: 266,000 a second; of 100 streams: 26,000
    starts_with_one: bool = False
    retires: Callable[[Answer], bool] = lambda answer: False
    age_seconds_max: float = 24 * 3_600.0


class Pool:
    """The sender for one origin. `run` must be running (in a nursery) while `submit` is used."""

    def __init__(self, settings: PoolSettings, context: ssl.SSLContext) -> None:
        self._settings = settings
        self._context = context
        self._queue = Queue()
        self._growth = Growth(settings.connections_max)
        self._live: list[Connection] = []
        self._leaving: set[Connection] = set()  # to be drained as soon as a new connection stands
        self._opening = 0
        self._failures = 0
        self._is_stateless = True
        self._nursery: trio.Nursery | None = None
        self._outstanding = 0
        self._bell = trio.lowlevel.ParkingLot()

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._live)

    async def submit(self, requests: Requests, deadline_seconds: float) -> list[Result]:
        """Send a batch; the results stand in the order of the requests and are all there by the deadline.

        Cancelling it sends nothing more of this batch and touches no other. Raises ValueError for columns that do not
        fit together (a mistake of the caller, before anything is sent).
        """
        fault = requests.faults()
        if fault is not None:
            raise ValueError(fault)
        if self._nursery is None:
            return [Failure(FailureKind.NOT_SENT, "closed")] * requests.total
        if not requests.total:
            return []
        now = trio.current_time()
        done = trio.Event()
        # A request started near the end of its time would only end as unknown: it may start in the first half.
        job = Job(requests, self._queue, now + deadline_seconds / 2, now + deadline_seconds, done.set)
        self._queue.join(job)
        self._outstanding += 1
        self._wake()
        try:
            await done.wait()
        except trio.Cancelled:
            job.abandon()
            raise
        finally:
            self._outstanding -= 1
        return [result for result in job.results if result is not None]

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep connections and look at the clock until cancelled; what is unfinished then gets its failure."""
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                task_status.started()
                while True:
                    await self._tick()
                    with trio.move_on_after(TICK_SECONDS if self._is_busy else IDLE_TICK_SECONDS):
                        if self._is_busy:
                            await trio.sleep_forever()
                        await self._bell.park()
        finally:
            self._nursery = None
            self._queue.fail_all("closed")

    def renew(self) -> None:
        """Replace every connection (a new key, for example): open first, then drain the old ones."""
        self._leaving.update(self._live)
        self._bell.unpark_all()

    # --- the clock ---

    @property
    def _is_busy(self) -> bool:
        return bool(self._outstanding or self._queue or self._leaving or any(c.session.in_flight for c in self._live))

    async def _tick(self) -> None:
        now = trio.current_time()
        self._queue.expire(now)
        for connection in list(self._live):
            await connection.watch()
            if now - connection.opened_at > self._settings.age_seconds_max:
                self._leaving.add(connection)
        self._open_what_is_needed()
        for connection in self._live:
            connection.session.was_full = False

    def _wake(self) -> None:
        """New work: to the connection with the most room first, so that a small batch leaves in one write."""
        usable = [c for c in self._live if c.session.room() > 0]
        for connection in sorted(usable, key=lambda c: -c.session.room()):
            connection.wake()
        if not usable:
            self._open_what_is_needed()
        self._bell.unpark_all()

    # --- opening and closing ---

    def _open_what_is_needed(self) -> None:
        if self._nursery is None or self._opening:
            return
        usable = [c for c in self._live if not c.session.is_draining]
        if not usable:
            wanted = 1 if self._queue or self._leaving else 0
        elif self._leaving:
            wanted = 1
        else:
            looks = [self._look(connection) for connection in usable]
            wanted = self._growth.wanted(looks, self._queue.waiting, trio.current_time())
        for _ in range(wanted):
            self._opening += 1
            self._nursery.start_soon(self._open)

    def _look(self, connection: Connection) -> Look:
        session = connection.session
        is_full = session.was_full or (bool(self._queue) and session.room() <= 0)
        answered = (session.sending.next_stream >> 1) - session.in_flight
        return Look(session.is_warm, is_full, session.in_flight, answered, connection.round_trip_seconds)

    async def _open(self) -> None:
        try:
            if self._failures:
                wait = min(BACKOFF_MAX_SECONDS, BACKOFF_FIRST_SECONDS * 2 ** min(self._failures, 12))
                await trio.sleep(wait * random.uniform(0.5, 1.0))
            limits = Limits(self._settings.starts_with_one, self._is_stateless)
            connection = await open_connection(
                self._settings.origin, self._context, limits, self._queue, trio.current_time
            )
        except ConnectFailed as failed:
            self._failures += 1
            if not self._live and self._failures >= FAILURES_BEFORE_GIVING_UP:
                self._queue.fail_all(failed.reason)
            return
        finally:
            self._opening -= 1
        self._live.append(connection)
        for old in self._leaving:
            self._retire(old)
        self._leaving.clear()
        connection.on_event = self._on_event
        if self._nursery is not None:
            self._nursery.start_soon(self._keep, connection)

    async def _keep(self, connection: Connection) -> None:
        try:
            reason = await connection.run()
        finally:
            self._live.remove(connection)
            self._leaving.discard(connection)
        if reason == "protocol_compression_error":
            self._is_stateless = False  # the peer uses a header table although we asked it not to: decode everything
        if not connection.session.has_answered:
            self._failures += 1  # it dies before it is of use: slow down as if it could not be opened
        self._wake()

    @staticmethod
    def _retire(connection: Connection) -> None:
        connection.session.is_draining = True
        connection.wake()

    def _on_event(self, connection: Connection) -> None:
        session = connection.session
        if session.has_answered:
            self._failures = 0
        if session.odd_answers:
            if any(self._settings.retires(answer) for answer in session.odd_answers):
                self._retire(connection)
            session.odd_answers.clear()
        if session.has_refused:
            session.has_refused = False
            self._wake()
