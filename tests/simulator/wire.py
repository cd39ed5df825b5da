"""A client on the `h2` library and a simulated provider, joined in memory: no sockets, no clock."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.settings

from channels.simulator.apns import Apns
from channels.simulator.apns_rules import Sender
from channels.simulator.faults import Faults
from channels.simulator.http2 import Http2Connection
from channels.simulator.ledger import Ledger
from channels.simulator.script import Script, check

NOW = 1_800_000_000.0
BODY = b'{"aps":{"alert":{"title":"T","body":"B"}},"klokke":{"event":"ev1"}}'
TOKEN = "0a" * 32

Answers = dict[int, tuple[int, bytes]]


class Pair:
    """Both ends of one connection. `answers` grows as `exchange` carries bytes to and fro."""

    def __init__(
        self,
        *,
        validating: bool = False,
        script: Mapping[str, Any] | None = None,
        ledger: Path | None = None,
        sender: Sender | None = None,
        client_settings: dict[h2.settings.SettingCodes | int, int] | None = None,
        streams: int = 1000,
    ) -> None:
        self.ledger = Ledger(ledger)
        self.service = Apns(
            self.ledger, validating=validating, sender=sender or Sender(), streams=streams, streams_at_first=1
        )
        self.service.begin(NOW)
        self.faults = Faults(check(script) if script else Script(), 7)
        self.faults.move_to(0)
        self.server = Http2Connection(self.service, self.faults)
        self.server.enter_step(self.faults.step)
        self.client = h2.connection.H2Connection(h2.config.H2Configuration())
        self.client.initiate_connection()
        self.client.update_settings(client_settings or {})
        self.events: list[h2.events.Event] = []
        self.answers: Answers = {}
        self.answer_headers: dict[int, dict[str, str]] = {}
        self.resets: dict[int, int] = {}
        self.goaway: h2.events.ConnectionTerminated | None = None

    def exchange(self, extra: bytes = b"", now: float = 0.0) -> None:
        """Carry what the client has to say, then `extra`, then the answers, until both are quiet."""
        data = self.client.data_to_send() + extra
        while True:
            if data:
                self.server.receive(data, now)
            output = self.server.take_output()
            if not output:
                return
            self.hear(output)
            data = self.client.data_to_send()

    def hear(self, output: bytes) -> None:
        for event in self.client.receive_data(output):
            self.events.append(event)
            match event:
                case h2.events.ResponseReceived():
                    headers = {name.decode(): value.decode() for name, value in event.headers}
                    self.answers[event.stream_id] = (int(headers[":status"]), b"")
                    self.answer_headers[event.stream_id] = headers
                case h2.events.DataReceived():
                    status, body = self.answers[event.stream_id]
                    self.answers[event.stream_id] = (status, body + event.data)
                case h2.events.StreamReset():
                    self.resets[event.stream_id] = int(event.error_code)
                case h2.events.ConnectionTerminated():
                    self.goaway = event

    def push(self, token: str = TOKEN, body: bytes = BODY, *, end: bool = True, **headers: str) -> int:
        """Start a push; gives its stream. Header names have `_` for `-`."""
        stream = self.client.get_next_available_stream_id()
        fields = {":method": "POST", ":scheme": "https", ":path": f"/3/device/{token}", ":authority": "localhost"}
        fields |= {"apns-topic": "dk.klokke.app"} | {name.replace("_", "-"): value for name, value in headers.items()}
        self.client.send_headers(stream, list(fields.items()))
        if end:
            self.client.send_data(stream, body, end_stream=True)
        return stream
