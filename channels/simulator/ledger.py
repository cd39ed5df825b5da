"""The simulator's own record of what it was sent and what it answered, one line a request.

A tab-separated text file; the first line names the columns. Lines are gathered in memory and written at least every
200 ms and at the end, so that two million of them cost little. A line torn by a kill is cut off on the next start.

`status` is what was answered; 0 means that the request was taken but never answered, and `reason` says why (Silent,
Reset.CODE). A request that HTTP/2 itself turned away unprocessed (REFUSED_STREAM, after GOAWAY, malformed) has no line.
"""

from __future__ import annotations

import hashlib
import os
import re
from functools import lru_cache
from pathlib import Path
from types import TracebackType

COLUMNS = ("unix_ms", "provider", "status", "reason", "address", "delivery", "event", "collapse", "text")
HEADING = b"#" + "\t".join(COLUMNS).encode() + b"\n"
FLUSH_SECONDS = 0.1
_LINES_MAX = 20_000
_UNSAFE = re.compile(rb"[\x00-\x1f\x7f]")


class Ledger:
    """An open ledger file. `note` is cheap; `flush` writes. Without a path everything is forgotten."""

    def __init__(self, path: Path | None) -> None:
        self.is_kept = path is not None
        self._lines: list[bytes] = []
        self._file = -1
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            _mend(self._file)

    def note(self, line: bytes) -> None:
        """Keep a finished line, as `line` makes it."""
        self._lines.append(line)
        if len(self._lines) >= _LINES_MAX:
            self.flush()

    def flush(self) -> None:
        """Write what was gathered."""
        data = memoryview(b"".join(self._lines))
        self._lines.clear()
        while data and self._file >= 0:
            data = data[os.write(self._file, data) :]

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.flush()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def line(
    unix_ms: int,
    provider: bytes,
    status: int,
    reason: bytes,
    address: bytes,
    delivery: bytes,
    event: bytes,
    collapse: bytes,
    text: bytes,
) -> bytes:
    """Make a line of values that may hold anything: control characters become `?`, so that columns stay columns."""
    values = (reason, address, delivery, event, collapse, text)
    if _UNSAFE.search(b"".join(values)):
        values = tuple(_UNSAFE.sub(b"?", value) for value in values)  # type: ignore[assignment]  # as many as before
    return b"%d\t%b\t%d\t%b\t%b\t%b\t%b\t%b\t%b\n" % (unix_ms, provider, status, *values)


def text_digest(title: str, body: str) -> bytes:
    """The `text` column of a push: 16 hex digits of BLAKE2b (512 bit) of title, newline, body."""
    return digest(title + "\n" + body)


@lru_cache(1024)
def digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "replace")).hexdigest()[:16].encode()


def _mend(file: int) -> None:
    """Write the heading of a new file; cut a line off that was torn when an earlier process was killed."""
    size = os.fstat(file).st_size
    tail = os.pread(file, 65_536, max(0, size - 65_536))
    if tail and not tail.endswith(b"\n"):
        size -= len(tail) - (tail.rfind(b"\n") + 1)
        os.ftruncate(file, size)
    if size == 0:
        os.write(file, HEADING)
