"""A scripted HTTP/2 server on the `h2` library over TLS, as the other end of our sender."""

from __future__ import annotations

import atexit
import shutil
import ssl
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import h2.settings
import trio
import trustme


@cache
def certificates() -> tuple[ssl.SSLContext, str]:
    """A server's context for `localhost`, and the file of the authority that vouches for it."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["h2"])
    authority.issue_cert("localhost").configure_cert(context)
    folder = Path(tempfile.mkdtemp(prefix="klokke-test-ca-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    return context, str(folder / "ca.pem")


@dataclass
class Request:
    stream: int
    headers: dict[str, str]
    body: bytes = b""

    @property
    def token(self) -> str:
        return self.headers[":path"].rsplit("/", 1)[-1]


class Line:
    """One accepted connection."""

    def __init__(self, stream: trio.SSLStream[trio.SocketStream]) -> None:
        self.tls = stream
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self.requests: list[Request] = []
        self.raw: list[bytes] = []  # bytes to send as they are, after what h2 has to say
        self.events: list[h2.events.Event] = []
        self.open: dict[int, Request] = {}
        self.holds_windows = False
        self.sending = trio.Lock()

    def answer(self, request: Request, status: int = 200, body: bytes = b"", **headers: str) -> None:
        fields = [(":status", str(status)), *((name.replace("_", "-"), value) for name, value in headers.items())]
        self.h2.send_headers(request.stream, fields, end_stream=not body)
        if body:
            self.h2.send_data(request.stream, body, end_stream=True)

    async def flush(self) -> None:
        async with self.sending:
            data = self.h2.data_to_send() + b"".join(self.raw)
            self.raw.clear()
            if data:
                await self.tls.send_all(data)


Script = Callable[[Line, Request], None]


def accept_all(line: Line, request: Request) -> None:
    line.answer(request)


@dataclass
class Peer:
    """Serves until cancelled. `script` sees each whole request; `settings` are announced at the start."""

    script: Script = accept_all
    settings: dict[int, int] = field(default_factory=dict)
    on_open: Callable[[Line], None] = lambda line: None
    on_event: Callable[[Line, h2.events.Event], None] = lambda line, event: None
    lines: list[Line] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    port: int = 0
    _news: trio.Condition = field(default_factory=trio.Condition)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        async with trio.open_nursery() as nursery:
            listeners = await nursery.start(partial(trio.serve_tcp, self._serve, 0, host="127.0.0.1"))
            self.port = listeners[0].socket.getsockname()[1]
            task_status.started()

    async def wait_until(self, fact: Callable[[], bool]) -> None:
        """Wait until something is so; at most 10 seconds."""
        with trio.fail_after(10):
            async with self._news:
                while not fact():
                    await self._news.wait()

    async def _serve(self, socket: trio.SocketStream) -> None:
        line = Line(trio.SSLStream(socket, certificates()[0], server_side=True))
        try:
            await line.tls.do_handshake()
            line.h2.local_settings = h2.settings.Settings(
                client=False,
                initial_values={h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 100}
                | {h2.settings.SettingCodes(code): value for code, value in self.settings.items()},
            )
            line.h2.initiate_connection()
            self.lines.append(line)
            self.on_open(line)
            await line.flush()
            while data := await line.tls.receive_some(65_536):
                for event in line.h2.receive_data(data):
                    self._take(line, event)
                    self.on_event(line, event)
                await line.flush()
                async with self._news:
                    self._news.notify_all()
        except (trio.BrokenResourceError, trio.ClosedResourceError, ssl.SSLError):
            pass  # the client left, as some tests want it to
        finally:
            async with self._news:
                self._news.notify_all()

    def _take(self, line: Line, event: h2.events.Event) -> None:
        line.events.append(event)
        if isinstance(event, h2.events.RequestReceived):
            headers = {str(name): str(value) for name, value in event.headers or ()}
            line.open[event.stream_id or 0] = Request(event.stream_id or 0, headers)
        elif isinstance(event, h2.events.DataReceived):
            line.open[event.stream_id or 0].body += event.data or b""
            if not line.holds_windows and event.flow_controlled_length:
                line.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id or 0)
        elif isinstance(event, h2.events.StreamEnded):
            request = line.open.pop(event.stream_id or 0)
            line.requests.append(request)
            self.requests.append(request)
            self.script(line, request)
