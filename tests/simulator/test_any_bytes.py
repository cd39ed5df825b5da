"""Whatever a client sends, a simulator answers, ends the connection, or waits: it never breaks."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.simulator import frames, mail_rules
from channels.simulator.apns import Apns
from channels.simulator.apns_rules import Sender
from channels.simulator.faults import Faults
from channels.simulator.fcm import Fcm
from channels.simulator.frames import frame
from channels.simulator.http1 import Http1Connection
from channels.simulator.http2 import Http2Connection
from channels.simulator.ledger import Ledger
from channels.simulator.oauth import OAuth
from channels.simulator.script import Script
from channels.simulator.smtp_service import Smtp
from channels.simulator.smtp_session import SmtpSession
from tests.simulator.wire import BODY, NOW, TOKEN

HELLO = frames.PREFACE + frame(frames.SETTINGS, 0, 0)
BLOCK = b"\x83\x87\x04\x4b/3/device/" + TOKEN.encode() + b"\x40\x0aapns-topic\x04dk.k"
FCM_BODY = b'{"message":{"token":"0token-1","data":{"event":"e"},"android":{"ttl":"1s"}}}'

any_frames = st.builds(
    frame,
    st.integers(0, 11),
    st.integers(0, 255),
    st.integers(0, 9),
    st.one_of(st.binary(max_size=40), st.sampled_from([BLOCK, BODY, bytes(4), bytes(8)])),
)


def http2(validating: bool) -> Http2Connection:
    service = Apns(Ledger(None), validating=validating, sender=Sender(), streams=9, streams_at_first=1)
    service.begin(NOW)
    return Http2Connection(service, Faults(Script(), 0))


@settings(max_examples=300, deadline=None)
@given(st.lists(any_frames, max_size=12), st.booleans(), st.integers(1, 60))
def test_any_frames_are_borne_and_their_cut_does_not_matter(sent: list[bytes], validating: bool, size: int) -> None:
    whole, cut = http2(validating), http2(validating)
    data = HELLO + b"".join(sent)
    whole.receive(data, 0.0)
    for at in range(0, len(data), size):
        cut.receive(data[at : at + size], 0.0)
    assert whole.is_done == cut.is_done
    assert whole.newest == cut.newest
    assert len(whole.take_output()) > 0


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60), st.binary(max_size=60), st.integers(0, 60))
def test_a_damaged_body_is_answered(head: bytes, tail: bytes, at: int) -> None:
    fcm = Fcm(Ledger(None), OAuth(None, 60, bool), validating=True, project="", streams=9)
    apns = Apns(Ledger(None), validating=True, sender=Sender(), streams=9, streams_at_first=1)
    fields = [(b":method", b"POST"), (b":path", b"/v1/projects/p/messages:send")]
    for body in (head, FCM_BODY[:at] + tail, FCM_BODY[:at] + tail + FCM_BODY[at:], BODY[:at] + head + BODY[at:]):
        for service in (fcm, apns):
            service.begin(NOW)
            assert service.answer(fields, body, None).status in (200, 400, 401, 403, 404)


LINES = [
    b"EHLO a.dk",
    b"MAIL FROM:<a@b.dk>",
    b"RCPT TO:<c@d.dk>",
    b"DATA",
    b".",
    b"",
    b"RSET",
    b"STARTTLS",
    b"From: a@b",
]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.one_of(st.sampled_from(LINES), st.binary(max_size=30)), max_size=25), st.booleans(), st.integers(1, 9)
)
def test_any_lines_are_borne_by_the_relay(lines: list[bytes], validating: bool, size: int) -> None:
    service = Smtp(Ledger(None), validating=validating, size_bytes=10_000)
    session = SmtpSession(service, Faults(Script(), 0), offers_tls=True)
    data = b"\r\n".join(lines) + b"\r\n"
    replies = session.take_output()
    for at in range(0, len(data), size):
        session.receive(data[at : at + size], 0.0)
        replies += session.take_output()
    assert all(line[:3].isdigit() for line in replies.split(b"\r\n")[:-1])


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.lists(st.sampled_from([b"\r\n", b"--b", b"--b--", b"Content-Type: ", b":", b" "])))
def test_any_mail_is_judged(noise: bytes, pieces: list[bytes]) -> None:
    head = b"From: a@b.dk\r\nDate: Mon, 23 Nov 2026 10:00:00 +0100\r\nMessage-ID: <1@b.dk>\r\nMIME-Version: 1.0\r\n"
    multipart = b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
    for content in (noise, head + noise, head + multipart + b"".join(pieces) + noise):
        assert isinstance(mail_rules.read(content).fault, str)


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.binary(max_size=40).map(b"POST /token HTTP/1.1\r\nHost: a\r\n".__add__)))
def test_any_bytes_are_borne_by_http1(data: bytes) -> None:
    service = Fcm(Ledger(None), OAuth(None, 60, bool), validating=True, project="", streams=9)
    service.begin(NOW)
    connection = Http1Connection(service, Faults(Script(), 0))
    connection.receive(data, 0.0)
    connection.take_output()
    connection.receive(b"\r\n\r\n", 0.0)
    assert connection.take_output().startswith((b"HTTP/1.1 ", b""))


@pytest.mark.parametrize("length", [300, 60_000])
def test_a_senders_own_words_are_echoed_only_in_part(length: int) -> None:
    """Long names once overflowed the table of frame heads."""
    connection = http2(validating=True)
    long_id = b"x" * min(length, 15_000)
    head = b"\x00\x07apns-id\x7f" + _rest(len(long_id) - 127) + long_id
    data = HELLO + frame(frames.HEADERS, frames.END_HEADERS | frames.END_STREAM, 1, BLOCK + head)
    connection.receive(data, 0.0)
    assert b"\x83\x87" not in connection.take_output()
    service = Fcm(Ledger(None), OAuth(None, 60, bool), validating=True, project="", streams=9)
    service.begin(NOW)
    body = b'{"message":{"%b":1}}' % (b"y" * length)
    fields = [(b":method", b"POST"), (b":path", b"/v1/projects/p/messages:send")]
    assert len(service.answer(fields, body, None).body) < 1500


def _rest(value: int) -> bytes:
    out = b""
    while value >= 128:
        out += bytes((value % 128 + 128,))
        value //= 128
    return out + bytes((value,))
