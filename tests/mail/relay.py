"""A relay that follows a script: what it answers to which command, and when it hangs up. Keeps what it was given."""

from __future__ import annotations

import ssl
from base64 import b64decode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import trio

HANG_UP = "hang up"  # an answer that is no answer: the connection closes
SILENCE = "silence"  # never answer

Answer = str | None  # None: answer as a friendly relay would
Script = Callable[[str, str, int], Answer]
"""`(verb, rest of the line, number of the connection) -> answer`; verbs are SMTP's, GREETING and CONTENT."""


@dataclass
class Relay:
    """Listens on a free port of the loopback. `received` holds (recipient, message) of all accepted letters."""

    script: Script = lambda verb, rest, connection: None
    extensions: tuple[str, ...] = ("PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES")
    tls: ssl.SSLContext | None = None
    is_implicit: bool = False
    received: list[tuple[str, bytes]] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    connections: int = 0
    first_closed: trio.Event = field(default_factory=trio.Event)  # set when the first connection has ended
    port: int = 0

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.port = listeners[0].socket.getsockname()[1]
        async with trio.open_nursery() as nursery:
            await nursery.start(trio.serve_listeners, self._serve, listeners)
            task_status.started()

    async def _serve(self, stream: trio.abc.Stream) -> None:
        self.connections += 1
        try:
            await _Visit(self, self.connections).stay(stream)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            await trio.aclose_forcefully(stream)
            self.first_closed.set()


class _Closed(Exception):
    """The script hung up."""


class _Visit:
    def __init__(self, relay: Relay, number: int) -> None:
        self.relay = relay
        self.number = number
        self.buffer = b""
        self.recipient = ""

    async def stay(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        if self.relay.is_implicit:
            self.secure()
        try:
            await self.say("GREETING", "", "220 relay.example ESMTP")
            while (line := await self.line()) is not None:
                await self.obey(line.decode())
        except _Closed:
            return

    def secure(self) -> None:
        assert self.relay.tls is not None
        self.stream = trio.SSLStream(self.stream, self.relay.tls, server_side=True)

    async def line(self, end: bytes = b"\r\n") -> bytes | None:
        while end not in self.buffer:
            got = await self.stream.receive_some(65_536)
            if not got:
                return None
            self.buffer += got
        found, _, self.buffer = self.buffer.partition(end)
        return found

    async def say(self, verb: str, rest: str, usual: str) -> str:
        answer = self.relay.script(verb, rest, self.number) or usual
        if answer == HANG_UP:
            raise _Closed
        if answer == SILENCE:
            await trio.sleep_forever()
        await self.stream.send_all(answer.encode() + b"\r\n")
        return answer

    async def obey(self, line: str) -> None:
        verb, _, rest = line.partition(" ")
        self.relay.commands.append(line)
        handlers: dict[str, Callable[[str, str], Awaitable[None]]] = {
            "EHLO": self.ehlo,
            "RCPT": self.rcpt,
            "DATA": self.data,
            "STARTTLS": self.starttls,
            "AUTH": self.auth,
            "QUIT": self.quit,
        }
        handler = handlers.get(verb)
        if handler is None:
            await self.say(verb, rest, "250 2.0.0 ok")
        else:
            await handler(verb, rest)

    async def ehlo(self, verb: str, rest: str) -> None:
        rows = ["relay.example", *self.relay.extensions]
        usual = "\r\n".join(f"250{' ' if at == len(rows) - 1 else '-'}{row}" for at, row in enumerate(rows))
        await self.say(verb, rest, usual)

    async def rcpt(self, verb: str, rest: str) -> None:
        answer = await self.say(verb, rest, "250 2.1.5 ok")
        self.recipient = rest.removeprefix("TO:<").partition(">")[0] if answer.startswith("250") else ""

    async def data(self, verb: str, rest: str) -> None:
        usual = "354 go on" if self.recipient else "503 5.5.1 no recipient"
        if not (await self.say(verb, rest, usual)).startswith("354"):
            return
        end = b"\r\n.\r\n"
        self.buffer = b"\r\n" + self.buffer  # an empty message is a dot right after the 354
        content = await self.line(end)
        if content is None:
            raise _Closed
        answer = await self.say("CONTENT", self.recipient, "250 2.0.0 queued")
        if answer.startswith("250"):
            self.relay.received.append((self.recipient, content.removeprefix(b"\r\n")))
        self.recipient = ""

    async def starttls(self, verb: str, rest: str) -> None:
        await self.say(verb, rest, "220 2.0.0 go on")
        self.secure()

    async def auth(self, verb: str, rest: str) -> None:
        if rest.startswith("LOGIN"):
            words = []
            for prompt in ("334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6"):
                await self.stream.send_all(prompt.encode() + b"\r\n")
                words.append(b64decode(await self.line() or b"").decode())
            rest = " ".join(words)
        else:
            rest = b64decode(rest.removeprefix("PLAIN ")).decode().replace("\0", " ").strip()
        await self.say("AUTH", rest, "235 2.7.0 ok" if rest == "klokke hunter2" else "535 5.7.8 wrong")

    async def quit(self, verb: str, rest: str) -> None:
        await self.say(verb, rest, "221 2.0.0 bye")
        raise _Closed
