"""The client of the directory's import: sends an NDJSON file to a running engine, in chunks, and can go on later.

    python -m engine import FILE --url http://127.0.0.1:8600 --key-file key.txt

The import's id is a digest of the file's name, size and modification time, so the same file goes on where it stopped,
and a changed one starts anew. (A digest of the content would read a file of two gigabytes twice.) Sending a line twice
changes nothing, so a chunk whose answer was lost is simply sent again.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO, NamedTuple, Protocol, TextIO

import httpx
import msgspec
import trio
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

CHUNK_LINES = 5_000
CHUNK_BYTES_MAX = 7 * 1024 * 1024  # the engine takes 8 MiB a chunk
TRIES = 5
ANSWER_SECONDS_MAX = 120.0
_PLAIN_EVERY_LINES = 100_000
_UNLISTED = "in a request whose answer was lost; what was refused among them shows when the file is imported --again"


class ImportFailed(Exception):
    """The import cannot go on; its text says why and what to do."""


class Outcome(NamedTuple):
    """What an import came to. Lines that an earlier run took are counted in `skipped`.

    `unlisted` lines were sent in a request whose answer was lost: they were handled, but what was refused among them
    is not known, so this is no success either. Importing the file `again` lists it.
    """

    taken: int
    refused: int
    skipped: int
    unlisted: int = 0

    @property
    def exit_status(self) -> int:
        return 1 if self.refused or self.unlisted else 0


class RefusedLine(msgspec.Struct, frozen=True):
    line: int
    reason: str


class ChunkAnswer(msgspec.Struct, frozen=True):
    taken: int
    refused: tuple[RefusedLine, ...]
    next_line: int


class Place(msgspec.Struct, frozen=True):
    next_line: int


class Chunk(NamedTuple):
    first_line: int
    lines: int
    body: bytes


class Shown(Protocol):
    """Where progress is shown: a bar on a terminal, a line now and then elsewhere."""

    def at(self, bytes_done: int, lines_done: int) -> None: ...


async def import_file(
    path: Path,
    url: str,
    key: str,
    *,
    chunk_lines: int = CHUNK_LINES,
    again: bool = False,
    out: TextIO = sys.stdout,
    transport: httpx.AsyncBaseTransport | None = None,
    sleep: Callable[[float], Awaitable[None]] = trio.sleep,
) -> Outcome:
    """Send a file to the engine at `url`; refused lines are printed with number and reason, the rest goes in.

    Args:
        chunk_lines: lines a request; fewer where lines are long.
        again: start with the first line, under a fresh id, however far an earlier run has come.
        transport: how to reach the engine, if not over the network.
        sleep: how to wait before a chunk is sent again.

    Raises:
        ImportFailed: no such file, a wrong key, no engine at the URL, or one that keeps failing.
    """
    try:
        with path.open("rb") as file:
            stat = os.fstat(file.fileno())
            import_id = token_hex(16) if again else id_of(path.name, stat.st_size, stat.st_mtime_ns)
            async with httpx.AsyncClient(
                base_url=url,
                headers={"authorization": f"Bearer {key}"},
                timeout=httpx.Timeout(ANSWER_SECONDS_MAX, connect=5.0),
                transport=transport,
            ) as client:
                engine = _Engine(client, import_id, sleep)
                with _progress(stat.st_size, out) as shown:
                    return await _send(file, engine, chunk_lines, shown, out)
    except (httpx.InvalidURL, UnicodeError):
        raise ImportFailed("the URL cannot be read; write it as http://127.0.0.1:8600") from None
    except OSError as error:
        raise ImportFailed(f"{path} cannot be read: {error.strerror}") from None


def read_key(path: Path) -> str:
    """Read an API key from a file.

    Raises:
        ImportFailed: the file cannot be read or is empty.
    """
    try:
        key = path.read_text("ascii").strip()
    except OSError as error:
        raise ImportFailed(f"the key file {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ImportFailed(f"the key file {path} holds something other than an API key") from None
    if not key:
        raise ImportFailed(f"the key file {path} is empty")
    return key


def id_of(name: str, size: int, modified_ns: int) -> str:
    """The id under which the engine remembers how far this file has come."""
    return hashlib.blake2b(f"{name}\0{size}\0{modified_ns}".encode(), digest_size=16).hexdigest()


def chunks_of(file: BinaryIO, first_line: int, chunk_lines: int) -> Iterator[Chunk]:
    """Cut a file into chunks of whole lines, from a line on; a chunk ends early before it grows too large."""
    lines: list[bytes] = []
    size, start, number = 0, first_line, 0
    for number, line in enumerate(file, 1):
        if number < first_line:
            continue
        if lines and (len(lines) >= chunk_lines or size + len(line) > CHUNK_BYTES_MAX):
            yield Chunk(start, len(lines), b"".join(lines))
            lines, size, start = [], 0, number
        lines.append(line)
        size += len(line)
    if lines:
        yield Chunk(start, len(lines), b"".join(lines))


async def _send(file: BinaryIO, engine: _Engine, chunk_lines: int, shown: Shown, out: TextIO) -> Outcome:
    first_line = await engine.next_line()
    taken = refused = unlisted = 0
    for chunk in chunks_of(file, first_line, chunk_lines):
        answer = await engine.send(chunk)
        end = chunk.first_line + chunk.lines
        if answer.next_line != end:
            raise ImportFailed(f"the engine goes on with line {answer.next_line}, not {end}: run the command again")
        for line in answer.refused:
            print(f"line {line.line}: {line.reason}", file=out)
        taken += answer.taken
        refused += len(answer.refused)
        missing = sum(1 for line in chunk.body.split(b"\n") if line.strip()) - answer.taken - len(answer.refused)
        if missing:
            print(f"lines {chunk.first_line} to {end - 1}: {missing} lines were handled {_UNLISTED}", file=out)
            unlisted += missing
        shown.at(file.tell(), end - 1)
    return Outcome(taken, refused, first_line - 1, unlisted)


class _Engine:
    """The import endpoint of one engine. Sends again what got no answer, or one that asks to wait."""

    def __init__(self, client: httpx.AsyncClient, import_id: str, sleep: Callable[[float], Awaitable[None]]) -> None:
        self._client = client
        self._url = f"/v1/directory/imports/{import_id}"
        self._sleep = sleep

    async def next_line(self) -> int:
        response = await self._ask("GET", {}, b"")
        return msgspec.json.decode(response.content, type=Place).next_line

    async def send(self, chunk: Chunk) -> ChunkAnswer:
        response = await self._ask("POST", {"first_line": chunk.first_line}, chunk.body)
        return msgspec.json.decode(response.content, type=ChunkAnswer)

    async def _ask(self, method: str, query: dict[str, int], body: bytes) -> httpx.Response:
        headers = {"content-type": "application/x-ndjson"} if body else {}
        why = ""
        for attempt in range(TRIES):
            if attempt:
                await self._sleep(float(2 ** (attempt - 1)))
            try:
                response = await self._client.request(method, self._url, params=query, content=body, headers=headers)
            except httpx.UnsupportedProtocol:
                raise ImportFailed("the URL must start with http:// or https://") from None
            except httpx.TransportError as error:
                why = f"no answer ({type(error).__name__})"
                if isinstance(error, httpx.ConnectError) and attempt == 0 and method == "GET":
                    break
                continue
            if response.status_code == 200:
                return response
            if response.status_code not in (429, 503):
                raise ImportFailed(_explained(response))
            why = f"it answered {response.status_code}"
        raise ImportFailed(
            f"the engine at {self._client.base_url} cannot be reached: {why}. Is it running (./klokke run)? "
            "The same command goes on where this one stopped."
        )


def _explained(response: httpx.Response) -> str:
    match response.status_code:
        case 401:
            return "the engine does not know this API key; check --key-file"
        case 403:
            return "this API key may not import: it needs the scope directory and all tenants (*)"
        case 404:
            return "there is no import endpoint at this URL; check --url"
        case status:
            return f"the engine refused a chunk with {status}: {response.text[:300]}"


def _progress(bytes_total: int, out: TextIO) -> _Bar | _Lines:
    return _Bar(bytes_total, out) if out.isatty() else _Lines(bytes_total, out)


class _Bar:
    """A bar on a terminal."""

    def __init__(self, bytes_total: int, out: TextIO) -> None:
        self._progress = Progress(
            TextColumn("importing"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[lines]:,} lines"),
            TimeRemainingColumn(),
            console=Console(file=out),
        )
        self._task = self._progress.add_task("import", total=bytes_total, lines=0)

    def at(self, bytes_done: int, lines_done: int) -> None:
        self._progress.update(self._task, completed=bytes_done, lines=lines_done)

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()


class _Lines:
    """A line now and then, where there is no terminal."""

    def __init__(self, bytes_total: int, out: TextIO) -> None:
        self._total = max(1, bytes_total)
        self._out = out
        self._next_line = _PLAIN_EVERY_LINES

    def at(self, bytes_done: int, lines_done: int) -> None:
        if lines_done >= self._next_line or bytes_done >= self._total:
            print(f"{lines_done:,} lines, {100 * bytes_done // self._total} %", file=self._out, flush=True)
            self._next_line = lines_done + _PLAIN_EVERY_LINES

    def __enter__(self) -> _Lines:
        return self

    def __exit__(self, *_: object) -> None:
        return
