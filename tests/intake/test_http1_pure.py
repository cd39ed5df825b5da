"""Heads and chunked bodies: what we take, the independent `h11` takes too and reads the same."""

from __future__ import annotations

import h11
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.intake.http1.answer import Dates, head
from engine.intake.http1.chunks import BadChunks, Chunks
from engine.intake.http1.head import BadHead, is_hopeless, read_head

HOST = b"\r\nHost: k"

GOOD = [
    (b"GET / HTTP/1.1" + HOST, ("GET", "/", b"", 0, True)),
    (b"GET /a%20b?c=%20 HTTP/1.1" + HOST, ("GET", "/a b", b"c=%20", 0, True)),
    (b"GET http://k:1/a?b HTTP/1.1" + HOST, ("GET", "/a", b"b", 0, True)),
    (b"OPTIONS * HTTP/1.1" + HOST, ("OPTIONS", "*", b"", 0, True)),
    (b"POST / HTTP/1.1\r\nhOsT:k\r\ncontent-LENGTH:\t 7 \t", ("POST", "/", b"", 7, True)),
    (b"POST / HTTP/1.1" + HOST + b"\r\nTransfer-Encoding: Chunked", ("POST", "/", b"", None, True)),
    (b"GET / HTTP/1.1" + HOST + b"\r\nConnection: x, Close", ("GET", "/", b"", 0, False)),
    (b"GET / HTTP/1.1" + HOST + b"\r\nConnection: x\r\nConnection: close", ("GET", "/", b"", 0, False)),
    (b"GET / HTTP/1.0", ("GET", "/", b"", 0, False)),
    (b"GET / HTTP/1.1" + HOST + b"\r\nX:", ("GET", "/", b"", 0, True)),
    (b"GET / HTTP/1.1" + HOST + b"\r\nX: r\xf8d gr\xf8d", ("GET", "/", b"", 0, True)),
]


@pytest.mark.parametrize(("block", "expected"), GOOD)
def test_a_good_head_is_read(block: bytes, expected: tuple[object, ...]) -> None:
    found = read_head(block)
    assert (found.method, found.path, found.query, found.length, found.keeps_alive) == expected


BAD = {
    "no Host": b"GET / HTTP/1.1",
    "two Hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: a",
    "two lengths that agree": b"POST / HTTP/1.1\r\nHost: k\r\nContent-Length: 5\r\nContent-Length: 5",
    "a list of lengths": b"POST / HTTP/1.1\r\nHost: k\r\nContent-Length: 5, 5",
    "a signed length": b"POST / HTTP/1.1\r\nHost: k\r\nContent-Length: +5",
    "a length with an underscore": b"POST / HTTP/1.1\r\nHost: k\r\nContent-Length: 1_0",
    "an empty length": b"POST / HTTP/1.1\r\nHost: k\r\nContent-Length:",
    "an endless length": b"POST / HTTP/1.1\r\nHost: k\r\nContent-Length: " + b"9" * 16,
    "length and chunks": b"POST / HTTP/1.1\r\nHost: k\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
    "chunks twice": b"POST / HTTP/1.1\r\nHost: k\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "another coding too": b"POST / HTTP/1.1\r\nHost: k\r\nTransfer-Encoding: gzip, chunked",
    "a coding with a control character": b"POST / HTTP/1.1\r\nHost: k\r\nTransfer-Encoding: \x0bchunked",
    "chunks in 1.0": b"POST / HTTP/1.0\r\nHost: k\r\nTransfer-Encoding: chunked",
    "a blank before the colon": b"POST / HTTP/1.1\r\nHost: k\r\nContent-Length : 5",
    "a folded line": b"GET / HTTP/1.1\r\nHost: k\r\nX: a\r\n b",
    "a bare line feed": b"GET / HTTP/1.1\r\nHost: k\nContent-Length: 5",
    "a bare carriage return": b"GET / HTTP/1.1\r\nHost: k\rContent-Length: 5",
    "a NUL": b"GET / HTTP/1.1\r\nHost: k\r\nX: a\0b",
    "no colon": b"GET / HTTP/1.1\r\nHost: k\r\nX",
    "a nameless field": b"GET / HTTP/1.1\r\nHost: k\r\n: x",
    "two blanks": b"GET  / HTTP/1.1\r\nHost: k",
    "a blank in the target": b"GET /a b HTTP/1.1\r\nHost: k",
    "a fragment": b"GET /a#b HTTP/1.1\r\nHost: k",
    "authority form": b"CONNECT k:1 HTTP/1.1\r\nHost: k",
    "another version": b"GET / HTTP/2.0\r\nHost: k",
    "no version": b"GET /",
    "lower-case protocol": b"GET / http/1.1\r\nHost: k",
    "nothing": b"",
}


@pytest.mark.parametrize("block", BAD.values(), ids=BAD)
def test_a_head_that_readers_could_take_differently_is_refused(block: bytes) -> None:
    with pytest.raises(BadHead):
        read_head(block)


PIECES = st.sampled_from(
    [
        *(b"GET ", b"POST ", b"/ ", b"/a?b ", b"*", b"HTTP/1.1", b"HTTP/1.0", b"\r\n", b"\n", b"\r", b" ", b"\t", b":"),
        *(b"Host: k\r\n", b"Host: k\r\n", b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"X: y\r\n"),
        *(b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n", b"5", b"\0", b"\xe6", b"X"),
    ]
)
STARTS = st.sampled_from([b"GET / HTTP/1.1\r\nHost: k", b"POST /a HTTP/1.1\r\nHost: k", b"GET / HTTP/1.0", b""])


@given(STARTS, st.lists(PIECES, max_size=8))
@example(b"POST / HTTP/1.1\r\nHost: k", [b"\r\n", b"Content-Length: 5\r\n", b"X: y"])
def test_what_we_take_h11_takes_too_and_reads_the_same(start: bytes, pieces: list[bytes]) -> None:
    block = start + b"".join(pieces)
    try:
        ours = read_head(block)
    except BadHead:
        return
    other = h11.Connection(h11.SERVER)
    other.receive_data(block + b"\r\n\r\n")
    theirs = other.next_event()
    assert isinstance(theirs, h11.Request)
    assert ours.method.encode() == theirs.method
    assert ours.headers == [(bytes(name), bytes(value)) for name, value in theirs.headers]
    following = other.next_event()
    assert (following is h11.NEED_DATA) == (ours.length != 0)
    assert other.they_are_waiting_for_100_continue is ours.expects_continue


@given(STARTS, st.lists(PIECES, max_size=8), st.data())
def test_what_has_no_hope_never_becomes_a_head(start: bytes, pieces: list[bytes], data: st.DataObject) -> None:
    block = start + b"".join(pieces)
    cut = data.draw(st.integers(0, len(block)))
    if is_hopeless(block[:cut], 0):
        with pytest.raises(BadHead):
            read_head(block)


@given(st.lists(PIECES, max_size=12), st.integers(1, 5))
def test_looking_on_from_where_one_looked_before_misses_nothing(pieces: list[bytes], step: int) -> None:
    block = b"".join(pieces)
    seen = [is_hopeless(block[: at + step], at) for at in range(0, len(block), step)]
    assert any(seen) == is_hopeless(block, 0)


def chunked(pieces: list[bytes]) -> bytes:
    return b"".join(b"%x;e=1\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\nT: x\r\n\r\n"


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=5), st.binary(max_size=20), st.integers(1, 60))
def test_a_chunked_body_is_the_same_however_it_is_cut(pieces: list[bytes], rest: bytes, step: int) -> None:
    coded = chunked(pieces) + rest
    chunks, body = Chunks(), b""
    for at in range(0, len(coded), step):
        if chunks.is_done:
            chunks.rest += coded[at : at + step]
        else:
            body += chunks.take(coded[at : at + step])
    assert (chunks.is_done, body, chunks.rest) == (True, b"".join(pieces), rest)


@given(st.lists(st.sampled_from([b"1", b"a", b"0", b"\r\n", b"\n", b"\r", b";", b"x", b" ", b"\r\n\r\n"]), max_size=10))
def test_chunks_that_we_take_h11_takes_too(pieces: list[bytes]) -> None:
    coded = b"".join(pieces)
    chunks = Chunks()
    try:
        ours = chunks.take(coded)
    except BadChunks:
        return
    other = h11.Connection(h11.SERVER)
    other.receive_data(b"POST / HTTP/1.1\r\nHost: k\r\nTransfer-Encoding: chunked\r\n\r\n" + coded)
    theirs = b""
    while isinstance(event := other.next_event(), h11.Request | h11.Data):
        theirs += bytes(event.data) if isinstance(event, h11.Data) else b""
    assert theirs == ours
    assert isinstance(event, h11.EndOfMessage) == chunks.is_done


BAD_CHUNKS = [b"5\n", b"0x5\r\n", b"-1\r\n", b"\r\n", b"5\r\nabcdeX", b"5 \r\n", b"1\r\na\r\r\n", b"f" * 13 + b"\r\n"]


@pytest.mark.parametrize("coded", [*BAD_CHUNKS, b"5;" + b"x" * 2000, b"0\r\n" + b"X: y\r\n" * 2000, b"0\r\n x\r\n\r\n"])
def test_broken_chunks_are_refused(coded: bytes) -> None:
    with pytest.raises(BadChunks):
        Chunks().take(coded)


def test_an_answer_has_a_phrase_and_a_date_that_is_spelled_once_a_second() -> None:
    seconds = [0.0, 0.9, 1.0]
    dates = Dates(lambda: seconds.pop(0))
    first, same, next_one = dates.line(), dates.line(), dates.line()
    assert first is same
    assert next_one == b"date: Thu, 01 Jan 1970 00:00:01 GMT\r\n"
    assert head(405, first, [(b"allow", b"GET")]) == (
        b"HTTP/1.1 405 Method Not Allowed\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\nallow: GET\r\n\r\n"
    )
