"""A person's app, as far as the gateway sees it: HTTP/1.1 over a real socket, and a live stream."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import h11
import msgspec
import trio

from channels.inapp.gateway import Figures, Gateway
from channels.inapp.settings import GatewaySettings
from engine.records.errors import StoreUnavailable
from engine.records.event import Audience, Content, Event, Term, Text
from engine.records.family import Family
from engine.records.inbox import InboxHint
from engine.records.roster import Roster, numbers_of
from engine.records.words import Category, Kind, Language, Stop, Urgency
from engine.rules.tickets import mint
from queueing.inbox.store import StoreInbox
from queueing.link import Link

SECRET = b"s" * 32
NOW_MS = 1_772_000_000_000
TOM, IDA, OLE = 300, 301, 70_000


class Events(dict[int, tuple[Event, Stop | None]]):
    """What the work room would answer, from memory; counts how often it was asked."""

    reads = 0
    is_away = False
    held: int | None = None  # reading this event waits for `released`, and says so by `reached`

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.released = trio.Event(), trio.Event()

    def add(self, number: int, title: str = "Hej", **fields: Any) -> int:
        texts = {Language.DA: Text(title, f"{title} æøå"), Language.EN: Text(f"{title} (en)", "Hello")}
        given: dict[str, Any] = {
            "number": number,
            "id": str(number),
            "source": "/s",
            "kind": Kind.MESSAGE,
            "tenant": "0101",
            "service": "messages",
            "admitted_ms": NOW_MS,
            "expires_ms": NOW_MS + 1,
            "category": Category.MESSAGE,
            "urgency": Urgency.NORMAL,
            "audience": Audience(include=(Term(everyone=True),)),
            "content": Content(texts=texts, sender="Åse", link="https://skole.example/1"),
        }
        self[number] = (Event(**(given | fields)), None)
        return number

    def cancel(self, number: int) -> None:
        self[number] = (self[number][0], Stop.CANCELLED)

    async def read(self, numbers: Collection[int]) -> Mapping[int, tuple[Event, Stop | None]]:
        self.reads += 1
        if self.is_away:
            raise StoreUnavailable("switched off by the test")
        if self.held in numbers:
            self.reached.set()
            await self.released.wait()
        return {number: self[number] for number in numbers if number in self}


class Families(dict[int, Family]):
    """What the directory would answer, from memory; counts how often it was asked."""

    reads = 0

    async def read(self, people: Roster) -> Mapping[int, Family]:
        self.reads += 1
        return {number: self[number] for number in numbers_of(people) if number in self}


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    json: Any


class Frame(NamedTuple):
    id: str
    kind: str
    data: Any


class LiveStream:
    """The frames of one stream, comments and retry lines aside."""

    def __init__(self, connection: trio.SocketStream) -> None:
        self.connection = connection
        self.buffer = b""
        self.comments = 0

    async def next(self) -> Frame | None:
        """The next frame; None when the gateway has ended the stream."""
        while True:
            block = await self._until(b"\n\n")
            if block is None:
                return None
            fields = dict(line.split(": ", 1) for line in block.decode().split("\n") if ": " in line)
            if "data" in fields:
                return Frame(fields.get("id", ""), fields["event"], msgspec.json.decode(fields["data"]))
            self.comments += block.startswith(b":")

    async def head(self) -> str:
        block = await self._until(b"\r\n\r\n")
        return (block or b"").decode()

    async def _until(self, end: bytes) -> bytes | None:
        while end not in self.buffer:
            try:
                got = await self.connection.receive_some(65_536)
            except trio.BrokenResourceError:
                return None
            if not got:
                return None
            self.buffer += got
        block, _, self.buffer = self.buffer.partition(end)
        return block


class App:
    """Talks to one gateway for one person."""

    def __init__(self, port: int, number: int = TOM, *, ticket: str | None = None, language: str = "da") -> None:
        self.port = port
        self.language = language
        self.ticket = mint(SECRET, number, "0101", NOW_MS + 3_600_000) if ticket is None else ticket

    async def connect(self) -> trio.SocketStream:
        return await trio.open_tcp_stream("127.0.0.1", self.port)

    def fields(self, **more: str) -> list[tuple[bytes, bytes]]:
        usual = {
            "Host": "gateway",
            "Authorization": f"Bearer {self.ticket}",
            "Accept-Language": self.language,
            "Content-Type": "application/json",
        }
        named = usual | {name.replace("_", "-"): value for name, value in more.items()}
        return [(name.encode(), value.strip().encode()) for name, value in named.items()]

    async def ask(self, method: str, target: str, body: Any = None, **headers: str) -> Answer:
        """One request on a connection of its own."""
        async with await self.connect() as connection:
            return await self.ask_on(connection, h11.Connection(h11.CLIENT), method, target, body, **headers)

    async def ask_on(
        self,
        connection: trio.SocketStream,
        http: h11.Connection,
        method: str,
        target: str,
        body: Any = None,
        **headers: str,
    ) -> Answer:
        content = body if isinstance(body, bytes) else b"" if body is None else msgspec.json.encode(body)
        fields = [*self.fields(**headers), (b"Content-Length", b"%d" % len(content))]
        sent = [http.send(h11.Request(method=method, target=target, headers=fields)), http.send(h11.Data(data=content))]
        sent.append(http.send(h11.EndOfMessage()))
        await connection.send_all(b"".join(part or b"" for part in sent))
        status, found, parts = 0, {}, b""
        while True:
            event = http.next_event()
            if event is h11.NEED_DATA:
                http.receive_data(await connection.receive_some(65_536))
            elif isinstance(event, h11.Response):
                status = event.status_code
                found = {name.decode(): value.decode() for name, value in event.headers}
            elif isinstance(event, h11.Data):
                parts += event.data
            elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
                return Answer(status, found, msgspec.json.decode(parts) if parts else None)

    @asynccontextmanager
    async def stream(self, **headers: str) -> AsyncIterator[LiveStream]:
        async with await self.connect() as connection:
            lines = b"".join(b"%b: %b\r\n" % field for field in self.fields(**headers))
            await connection.send_all(b"GET /v1/inbox/stream HTTP/1.1\r\n%b\r\n" % lines)
            live = LiveStream(connection)
            assert (await live.head()).startswith("HTTP/1.1 200 OK")
            assert await live._until(b"\n\n") == b"retry: 3000"
            yield live


class DeafInbox(StoreInbox):
    """The real inbox, to a gateway that never hears a hint."""

    async def listen(self, heard: trio.MemorySendChannel[InboxHint]) -> None:
        await trio.sleep_forever()


class House(NamedTuple):
    """A gateway with what stands behind it."""

    port: int
    inbox: StoreInbox
    events: Events
    families: Families
    gateway: Gateway
    gone: set[int]

    def app(self, number: int = TOM, **fields: Any) -> App:
        return App(self.port, number, **fields)

    async def until(self, fact: Callable[[Figures], bool]) -> None:
        """Wait until the gateway's figures show a fact."""
        while not fact(self.gateway.figures):
            await trio.sleep(0.005)


@asynccontextmanager
async def house(
    link: Link, *, hears: bool = False, clock: list[int] | None = None, **limits: Any
) -> AsyncIterator[House]:
    """Run a gateway on a free port; one that `hears` live hints takes half a second to stop."""
    inbox = StoreInbox(link) if hears else DeafInbox(link)
    events, families = Events(), Families()
    now = clock or [NOW_MS]
    gone: set[int] = set()

    async def lives(number: int) -> bool:
        return number not in gone

    settings = GatewaySettings(port=0, **limits)
    gateway = Gateway(inbox, events.read, families.read, SECRET, lives, settings, lambda: now[0])
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            port = await nursery.start(gateway.run)
            yield House(port, inbox, events, families, gateway, gone)
            nursery.cancel_scope.cancel()
