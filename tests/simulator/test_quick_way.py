"""The quick way answers as the full way does, byte for byte, whatever encoder the client uses.

The naive oracle is the same service asked in full, request by request.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

import jwt
import msgspec
import pytest
from hpack import Decoder, Encoder
from hpack.exceptions import HPACKError
from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.simulator import frames, huffman
from channels.simulator.answers import literal, ready
from channels.simulator.apns import Apns
from channels.simulator.apns_rules import Sender
from channels.simulator.blocks import Blocks
from channels.simulator.faults import Faults
from channels.simulator.fcm import Fcm
from channels.simulator.fcm_rules import SCOPE
from channels.simulator.frames import frame
from channels.simulator.header_table import Field, HeaderTable, NotHpack
from channels.simulator.http2 import Http2Connection
from channels.simulator.ledger import Ledger
from channels.simulator.oauth import GRANT, OAuth
from channels.simulator.script import Script
from channels.simulator.service import Service
from channels.simulator.shapes import Shape
from tests.simulator.conftest import KeyPair
from tests.simulator.wire import NOW

Request = tuple[list[Field], bytes]
Encode = Callable[[list[Field]], bytes]


def plain(fields: list[Field]) -> bytes:
    """Literals without indexing: what a template sender writes for what varies."""
    return b"".join(literal(name, value) for name, value in fields)


def coded(fields: list[Field]) -> bytes:
    """Huffman-coded literals without indexing: what nghttp2 writes for tokens."""
    return b"".join(b"\x00" + _coded(name) + _coded(value) for name, value in fields)


_HUFFMAN = HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH)


def _coded(text: bytes) -> bytes:
    raw = _HUFFMAN.encode(text) if text else b""
    assert len(raw) < 127
    return bytes((0x80 | len(raw),)) + raw


ENCODERS: dict[str, Callable[[], Encode]] = {
    "plain": lambda: plain,
    "huffman": lambda: coded,
    "indexing": lambda: Encoder().encode,
}

hexes = st.text("0123456789abcdef", min_size=8, max_size=20)
tokens = st.one_of(
    hexes,
    st.sampled_from(["dead00000000", "feed0000", "fade00000000", "DEAD00000000", "deaf0000", "xyz", "", "0A0a0A0a"]),
)
ids = st.one_of(st.uuids().map(str), st.sampled_from(["", "x", "123E4567-E89B-12D3-A456-426614174000"]))
collapses = st.sampled_from([None, "a", "a b", "a\x7f", "a\tb", "c" * 64, "c" * 65])
payloads = st.sampled_from(
    [
        b'{"aps":{"alert":{"title":"T","body":"B"}},"klokke":{"event":"ev1"}}',
        b'{"aps":{"alert":"x"},"klokke.event":"ev2"}',
        b'{"aps":{"content-available":1}}',
        b'{"aps":{"alert":"x"},"klokke":{"event":"a\\tb"}}',
        b'{"aps":{"alert":"%b"}}' % (b"x" * 4100),
        b"{}",
        b"{",
        b"",
    ]
)


@st.composite
def pushes(draw: st.DrawFn) -> Request:
    fields = [(b":method", b"POST"), (b":scheme", b"https"), (b":path", f"/3/device/{draw(tokens)}".encode())]
    fields.append((b"apns-topic", draw(st.sampled_from([b"dk.klokke.app", b"bad topic"]))))
    body = draw(payloads)
    if draw(st.booleans()):
        fields.append((b"apns-id", draw(ids).encode()))
    if (collapse := draw(collapses)) is not None:
        fields.append((b"apns-collapse-id", collapse.encode()))
    if draw(st.booleans()):
        fields.append((b"content-length", str(len(body)).encode()))
    if draw(st.booleans()):
        fields.append((b"apns-push-type", draw(st.sampled_from([b"alert", b"background", b"x"]))))
    return fields, body


def asked_on_the_wire(service: Service, requests: list[Request], encode: Encode) -> bytes:
    """All requests on one connection, each again so that its layout is known the second time."""
    connection = Http2Connection(service, Faults(Script(), 0))
    connection.take_output()
    sent = [frames.PREFACE, frame(frames.SETTINGS, 0, 0), frames.window_update(0, 1 << 30)]
    for number, (fields, body) in enumerate(requests):
        stream = 2 * number + 1
        sent.append(frame(frames.HEADERS, frames.END_HEADERS, stream, encode(fields)))
        sent.append(frame(frames.DATA, frames.END_STREAM, stream, body))
    connection.receive(b"".join(sent), 0.0)
    return connection.take_output().removeprefix(frame(frames.SETTINGS, frames.ACK, 0))


def asked_in_full(service: Service, requests: list[Request]) -> bytes:
    """The oracle: the answers of the full way as frames."""
    output = b""
    for number, (fields, body) in enumerate(requests):
        answer = service.answer(fields, body, None)
        if answer.status == 0:
            continue
        block, content = ready(answer)
        stream = 2 * number + 1
        end = frames.END_HEADERS | (0 if content else frames.END_STREAM)
        output += frame(frames.HEADERS, end, stream, block)
        output += frame(frames.DATA, frames.END_STREAM, stream, content) if content else b""
    return output


def compare(make: Callable[[Ledger], Service], requests: list[Request], encode: Encode, folder: Path) -> None:
    written = []
    outputs = []
    for way in ("wire", "full"):
        path = folder / f"{way}-{secrets.token_hex(8)}.tsv"
        with Ledger(path) as ledger:
            service = make(ledger)
            service.begin(NOW)
            wire = asked_on_the_wire(service, requests, encode) if way == "wire" else asked_in_full(service, requests)
            outputs.append(wire)
        written.append(path.read_bytes())
    assert outputs[0] == outputs[1]
    assert written[0] == written[1]


def apns(ledger: Ledger) -> Apns:
    return Apns(ledger, validating=True, sender=Sender(), streams=1000, streams_at_first=1000, first_id=1)


@pytest.mark.parametrize("encoder", ENCODERS)
@settings(max_examples=40, deadline=None)
@given(st.lists(pushes(), min_size=1, max_size=6))
def test_apns_answers_and_notes_the_same_both_ways(
    tmp_path_factory: pytest.TempPathFactory, bearer: Callable[..., str], encoder: str, made: list[Request]
) -> None:
    authorization = (b"authorization", bearer(NOW).encode()[:-1] + b"x")  # no key is given: signatures do not count
    requests = [([*fields, authorization], body) for fields, body in made for _ in range(2)]
    if encoder == "huffman":
        requests = [(fields[:-1], body) for fields, body in requests]  # the token is too long for `coded`
    compare(apns, requests, ENCODERS[encoder](), tmp_path_factory.getbasetemp())


@pytest.mark.parametrize("encoder", ENCODERS)
@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(tokens, collapses, payloads), min_size=1, max_size=6))
def test_accept_all_answers_and_notes_the_same_both_ways(
    tmp_path_factory: pytest.TempPathFactory, encoder: str, made: list[tuple[str, str | None, bytes]]
) -> None:
    def accepting(ledger: Ledger) -> Apns:
        return Apns(ledger, validating=False, sender=Sender(), streams=1000, streams_at_first=1, first_id=1)

    requests: list[Request] = []
    for token, collapse, body in made:
        fields = [(b":method", b"POST"), (b":scheme", b"https"), (b":path", f"/3/device/{token}".encode())]
        fields += [(b"apns-collapse-id", collapse.encode())] if collapse else []
        requests += [(fields, body)] * 2
    compare(accepting, requests, ENCODERS[encoder](), tmp_path_factory.getbasetemp())


messages = st.sampled_from(
    [
        b'{"message":{"token":"0token-1","notification":{"title":"T","body":"B"},"data":{"event":"e","delivery":"d"}}}',
        b'{"message":{"token":"0token-1","android":{"notification":{"tag":"t","body":"x"}}}}',
        b'{"message":{"token":"dead0000"}}',
        b'{"message":{"token":"Busy0000"}}',
        b'{"message":{"token":"0token-1","data":{"event":"a\\tb"}}}',
        b'{"message":{"token":"0token-1","data":{"n":1}}}',
        b'{"message":{"token":"0token-1"},"validateOnly":true}',
        b'{"message":{"topic":"news"}}',
        b'{"message":{"token":"0token-1","notification":{"body":"%b"}}}' % (b"x" * 4100),
        b"{",
    ]
)


@pytest.fixture(scope="module")
def oauth() -> OAuth:
    return OAuth(None, 3600, bool)


@pytest.fixture(scope="module")
def access(oauth: OAuth, rsa_key: KeyPair) -> bytes:
    """A good access token, short enough for `coded`."""
    claims = {"iss": "a", "aud": "b", "scope": SCOPE, "iat": NOW, "exp": NOW + 60}
    form = {"grant_type": GRANT, "assertion": jwt.encode(claims, rsa_key.private, "RS256")}
    answer = oauth.answer(urlencode(form).encode(), NOW)
    token: str = msgspec.json.decode(answer.body)["access_token"]
    return b"Bearer " + token.encode()


@pytest.mark.parametrize("validating", [True, False])
@pytest.mark.parametrize("encoder", ENCODERS)
@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(messages, st.booleans(), st.sampled_from([b"p", b"q"])), min_size=1, max_size=8))
def test_fcm_answers_and_notes_the_same_both_ways(
    tmp_path_factory: pytest.TempPathFactory,
    oauth: OAuth,
    access: bytes,
    encoder: str,
    validating: bool,
    made: list[tuple[bytes, bool, bytes]],
) -> None:
    def make(ledger: Ledger) -> Fcm:
        return Fcm(ledger, oauth, validating=validating, project="p", streams=1000)

    requests: list[Request] = []
    for body, is_measured, project in made:
        path = b"/v1/projects/%b/messages:send" % project
        fields = [(b":method", b"POST"), (b":scheme", b"https"), (b":path", path), (b"authorization", access)]
        fields += [(b"content-length", b"%d" % len(body))] if is_measured else []
        requests += [(fields, body)] * 2
    compare(make, requests, ENCODERS[encoder](), tmp_path_factory.getbasetemp())


@given(st.binary(max_size=60))
def test_huffman_code_is_read_as_hpack_writes_it(text: bytes) -> None:
    assert huffman.decode(_HUFFMAN.encode(text) if text else b"") == text


@given(st.binary(min_size=1, max_size=20))
def test_anything_is_read_as_by_hpack(coded_text: bytes) -> None:
    from hpack.huffman_table import decode_huffman

    try:
        expected: bytes | None = decode_huffman(coded_text)
    except HPACKError:
        expected = None
    assert huffman.decode(coded_text) == expected


def test_an_indexed_value_that_needs_a_closer_look_gets_it(tmp_path: Path) -> None:
    fields = [(b":method", b"POST"), (b":scheme", b"https"), (b":path", b"/3/device/0a0a0a0a")]
    odd = ([*fields, (b"apns-collapse-id", b"a\x7f")], b'{"aps":{"alert":"x"}}')

    def accepting(ledger: Ledger) -> Apns:
        return Apns(ledger, validating=False, sender=Sender(), streams=1000, streams_at_first=1, first_id=1)

    compare(accepting, [odd] * 4, Encoder().encode, tmp_path)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_malformed_constant_is_refused_every_time(encoder: str) -> None:
    fields = [(b":method", b"POST"), (b":scheme", b"https"), (b":path", b"/3/device/0a0a0a0a"), (b"Bad", b"1")]
    service = Apns(Ledger(None), validating=False, sender=Sender(), streams=9, streams_at_first=1)
    output = asked_on_the_wire(service, [(fields, b"{}")] * 4, ENCODERS[encoder]())
    assert output.endswith(b"".join(frames.reset(stream, frames.PROTOCOL_ERROR) for stream in (1, 3, 5, 7)))


def test_an_expiration_in_huffman_code_is_looked_at_every_time(tmp_path: Path) -> None:
    start = [(b":method", b"POST"), (b":scheme", b"https"), (b":path", b"/3/device/0a0a0a0a"), (b"apns-topic", b"a")]
    body = b'{"aps":{"alert":"x"}}'
    requests = [([*start, (b"apns-expiration", value)], body) for value in (b"33", b"44", b"bb", b"55")]
    compare(apns, requests, coded, tmp_path)


def test_the_authorized_expiration_is_looked_at_every_time(bearer: Callable[..., str], tmp_path: Path) -> None:
    start = [(b":method", b"POST"), (b":scheme", b"https"), (b":path", b"/3/device/0a0a0a0a"), (b"apns-topic", b"a")]
    authorization = (b"authorization", bearer(NOW).encode())
    body = b'{"aps":{"alert":"x"}}'

    def partly(fields: list[Field]) -> bytes:
        return plain(fields[:-1]) + coded(fields[-1:])

    requests = [([*start, authorization, (b"apns-expiration", value)], body) for value in (b"33", b"44", b"bb", b"55")]
    compare(apns, requests, partly, tmp_path)


names = st.sampled_from([b":path", b"x", b"apns-id", b"cookie", b"a" * 100])
header_lists = st.lists(st.tuples(names, st.binary(max_size=40)), max_size=8)


@settings(max_examples=150, deadline=None)
@given(st.lists(header_lists, max_size=12), st.lists(st.integers(0, 4096), max_size=3), st.booleans())
def test_the_header_table_reads_what_hpack_writes(lists: list[list[Field]], sizes: list[int], is_huffman: bool) -> None:
    encoder, table = Encoder(), HeaderTable()
    for number, fields in enumerate(lists):
        if number < len(sizes):
            encoder.header_table_size = sizes[number]
        assert table.decode(encoder.encode(fields, huffman=is_huffman)) == fields


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=30), min_size=1, max_size=4))
def test_any_block_is_read_or_refused_as_by_hpack(made: list[bytes]) -> None:
    theirs, ours = Decoder(), HeaderTable()
    for block in made:
        try:
            expected = [(bytes(n), bytes(v)) for n, v in theirs.decode(block, raw=True)]
        except (HPACKError, IndexError):
            with pytest.raises(NotHpack):
                ours.decode(block)
            return
        assert ours.decode(block) == expected


def test_layouts_are_dropped_when_the_table_changes() -> None:
    """The same bytes mean something else then: an index points to another entry."""
    blocks = Blocks({b"x": Shape(each=b".")}, [b"x"], vouch=tuple)
    encoder = Encoder()
    first = encoder.encode([(b"a", b"1")])
    assert blocks.read(first)[0] == [(b"a", b"1")]
    indexed = encoder.encode([(b"a", b"1")])
    assert blocks.read(indexed)[0] == [(b"a", b"1")]
    assert len(indexed) in blocks.layouts
    assert blocks.read(encoder.encode([(b"b", b"2")]))[0] == [(b"b", b"2")]
    assert not blocks.layouts
    assert blocks.read(indexed)[0] == [(b"b", b"2")]
