"""Which stream belongs to which request, and the settling of each exactly once. Pure."""

from __future__ import annotations

from channels.http2.jobs import Answer, Job, Result, Run


class Streams:
    """Streams in flight on one connection.

    The session's fast path works on `owner` and `opened` directly; it does what `settle` does.
    """

    __slots__ = ("_runs", "opened", "owner")

    def __init__(self) -> None:
        self.owner: dict[int, Run] = {}
        self.opened: dict[int, Answer] = {}  # answers whose body is still coming
        self._runs: set[Run] = set()

    def start(self, job: Job, start: int, count: int, first_stream: int) -> None:
        run = Run(job, start, count, first_stream)
        self._runs.add(run)
        self.owner.update(dict.fromkeys(range(first_stream, first_stream + 2 * count, 2), run))

    def settle(self, stream: int, result: Result) -> None:
        """Give the request behind a stream its result."""
        run = self._leave(stream)
        run.results[run.offset + (stream >> 1)] = result
        run.left -= 1
        if not run.left:
            self.end_run(run)

    def refuse(self, stream: int, reason: str) -> None:
        """The request behind a stream was surely not processed: back to its job."""
        run = self._leave(stream)
        run.size -= 1
        run.left -= 1
        run.job.refuse(run.offset + (stream >> 1), reason)
        if not run.left:
            self.end_run(run)

    def overdue(self, now: float) -> list[int]:
        """Streams whose answer should have come by now."""
        late = [run for run in self._runs if run.job.answer_by <= now]
        return [
            stream
            for run in late
            for stream in range(run.first, run.first + 2 * run.count, 2)
            if self.owner.get(stream) is run
        ]

    def end_run(self, run: Run) -> None:
        """Nothing of a run is in flight any more."""
        self._runs.discard(run)
        run.job.finish(run.size)

    def _leave(self, stream: int) -> Run:
        self.opened.pop(stream, None)
        return self.owner.pop(stream)
