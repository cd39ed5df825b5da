"""What is asked of the sender and what comes back: requests in columns, answers, and the queue between them.

Pure. A `Job` is one `submit`; connections take pieces of it in turns, so that a class message of 46 people does not
wait behind a national one. A `Run` is a piece in flight on one connection: consecutive requests on consecutive streams.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import NamedTuple

from channels.http2.fields import Fields, Header
from channels.http2.frames import FRAME_BYTES_MAX
from channels.http2.headers import Template

RESENDS_MAX = 3
"""How often a request that was surely not processed is sent again before the caller hears of it."""


OUT_OF_TIME = "no_stream_in_time"
"""The reason of a request that was never sent, since no stream was free while there was time for an answer."""


class Answer(NamedTuple):
    """What the server said. The headers of a 200 are left out: most are never decoded."""

    status: int
    headers: Fields | tuple[Header, ...]
    body: bytes

    def header(self, name: bytes) -> bytes | None:
        """The value of the first header of that name, decoded only now; None where there is none."""
        if isinstance(self.headers, Fields):
            return self.headers.get(name)
        return next((value for key, value in self.headers if key == name), None)


OK = Answer(200, (), b"")


class FailureKind(StrEnum):
    NOT_SENT = "not_sent"  # surely not processed: sending it again makes no duplicate
    UNKNOWN = "unknown"  # it may have been processed


class Failure(NamedTuple):
    """No answer. `reason` is a word from a closed set in this room, fit for a metric label."""

    kind: FailureKind
    reason: str


Result = Answer | Failure


class Requests(NamedTuple):
    """A batch in columns: a template, and per request the path's ending, the own header value, the body.

    `paths` or `values` are None where the template says it all; `body` is one for all, or one for each.
    """

    template: Template
    total: int
    paths: Sequence[bytes] | None
    values: Sequence[bytes] | None
    body: bytes | Sequence[bytes]

    def faults(self) -> str | None:
        """Say what is wrong with the columns, or None."""
        own = [self.paths, self.values, None if isinstance(self.body, bytes) else self.body]
        if any(column is not None and len(column) != self.total for column in own):
            return "every column must have `total` entries"
        if (self.values is None) != (self.template.value_name is None):
            return "`values` and the template's `value_name` go together"
        if self.values and set(map(len, self.values)) != {self.template.value_bytes}:
            return "every value must be `value_bytes` long"
        longest = max(map(len, self.paths), default=0) if self.paths is not None else 0
        if self.template.bytes_at_most(longest) > FRAME_BYTES_MAX:
            return "the headers do not fit one frame: shorten the path or the headers"
        if self.largest_body() > FRAME_BYTES_MAX:
            return f"a body may have at most {FRAME_BYTES_MAX} bytes"
        return None

    def largest_body(self) -> int:
        return len(self.body) if isinstance(self.body, bytes) else max(map(len, self.body), default=0)

    def body_of(self, index: int) -> bytes:
        return self.body if isinstance(self.body, bytes) else self.body[index]


class Job:
    """One submitted batch: what still waits, and the results so far, in the order of the requests."""

    __slots__ = ("_queue", "_resends", "answer_by", "is_abandoned", "left", "on_done", "pending", "requests", "results",
                 "start_by")  # fmt: skip

    def __init__(
        self, requests: Requests, queue: Queue, start_by: float, answer_by: float, on_done: Callable[[], None]
    ) -> None:
        self.requests = requests
        self.results: list[Result | None] = [None] * requests.total
        self.pending: deque[tuple[int, int]] = deque([(0, requests.total)] if requests.total else [])
        self.left = requests.total
        self.start_by = start_by
        self.answer_by = answer_by
        self.on_done = on_done
        self.is_abandoned = False
        self._queue = queue
        self._resends: dict[int, int] = {}

    def finish(self, count: int) -> None:
        """`count` more results are in."""
        self.left -= count
        if not self.left and not self.is_abandoned:
            self.on_done()

    def refuse(self, index: int, reason: str) -> None:
        """The request was surely not processed: send it again, or give up after a few times."""
        tries = self._resends[index] = self._resends.get(index, 0) + 1
        if self.is_abandoned:
            return
        if tries > RESENDS_MAX:
            self.results[index] = Failure(FailureKind.NOT_SENT, reason)
            self.finish(1)
            return
        if self.pending and self.pending[-1][1] == index:
            self.pending[-1] = (self.pending[-1][0], index + 1)  # GOAWAY refuses neighbours: keep them one piece
        else:
            self.pending.append((index, index + 1))
        self._queue.join(self)

    def fail_pending(self, reason: str) -> None:
        """Give up what was not sent yet."""
        failure = Failure(FailureKind.NOT_SENT, reason)
        gone = 0
        while self.pending:
            start, stop = self.pending.popleft()
            self.results[start:stop] = [failure] * (stop - start)
            gone += stop - start
        if gone:
            self.finish(gone)

    def abandon(self) -> None:
        """The caller was cancelled: nothing more is sent; what is in flight ends quietly, its streams untouched."""
        self.is_abandoned = True
        self.pending.clear()


class Run:
    """Consecutive requests of one job on consecutive streams of one connection."""

    __slots__ = ("count", "first", "job", "left", "offset", "results", "size")

    def __init__(self, job: Job, start: int, count: int, first_stream: int) -> None:
        self.job = job
        self.results = job.results
        self.first = first_stream
        self.count = count
        self.size = count  # how many of them will get a result here
        self.left = count  # how many of them are still in flight
        self.offset = start - (first_stream >> 1)  # index of a request = offset + half its stream number


class Queue:
    """Jobs with something to send, in turns."""

    def __init__(self) -> None:
        self._jobs: deque[Job] = deque()
        self._members: set[Job] = set()

    def __bool__(self) -> bool:
        return bool(self._jobs)

    @property
    def waiting(self) -> int:
        """How many requests wait to be sent."""
        return sum(stop - start for job in self._jobs for start, stop in job.pending)

    def join(self, job: Job) -> None:
        if job not in self._members:
            self._members.add(job)
            self._jobs.append(job)

    def take(self, limit: int) -> tuple[Job, int, int] | None:
        """Take up to `limit` consecutive requests of the job whose turn it is."""
        while self._jobs:
            job = self._jobs.popleft()
            if not job.pending:
                self._members.discard(job)
                continue
            start, stop = job.pending.popleft()
            if stop - start > limit:
                job.pending.appendleft((start + limit, stop))
                stop = start + limit
            if job.pending:
                self._jobs.append(job)
            else:
                self._members.discard(job)
            return job, start, stop
        return None

    def put_back(self, job: Job, start: int, stop: int) -> None:
        """Return what could not be sent now; the job is next in turn."""
        if job.is_abandoned:
            return
        job.pending.appendleft((start, stop))
        if job in self._members:
            self._jobs.remove(job)
        self._members.add(job)
        self._jobs.appendleft(job)

    def expire(self, now: float) -> None:
        """Give up what waited too long for a stream or a connection."""
        for job in [job for job in self._jobs if job.start_by <= now]:
            job.fail_pending(OUT_OF_TIME)
        self._sift()

    def fail_all(self, reason: str) -> None:
        for job in list(self._jobs):
            job.fail_pending(reason)
        self._sift()

    def _sift(self) -> None:
        self._jobs = deque(job for job in self._jobs if job.pending)
        self._members = set(self._jobs)
