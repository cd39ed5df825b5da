"""The fast path of answers: plain 200s and the window updates between them, in one loop over all that was read. Pure.

Hot: a loop turn an answer, no object made. The plain way (`Session._take`) reads the same frames with the same result;
tests/http2/test_fuzz.py compares the two.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

from channels.http2 import frames
from channels.http2.frames import HEAD, WINDOW_MAX
from channels.http2.jobs import OK, Answer
from channels.http2.streams import Streams

_LONGEST_HEAD = (frames.FRAME_BYTES_MAX << 8) | 0xFF
_UPDATE_HEAD = 4 << 8 | frames.WINDOW_UPDATE
_INCREMENT = Struct(">I")
_OK_BYTE = 0x88  # HPACK: entry 8 of the static table, `:status: 200`
_OK_HEAD_MAX = 0x1FF  # of a header block that is the one byte 0x88 and nothing else


class Passed(NamedTuple):
    """How far the fast path came, how many frames of answers and window updates it took, and bytes of bodies."""

    at: int
    answers: int
    updates: int
    body_bytes: int


def take_accepted(data: bytes, at: int, streams: Streams, next_stream: int, *, is_stateless: bool) -> Passed:
    """Settle plain 200 answers (with or without a one-frame body); stop at anything else.

    It relies on the empty dynamic table (see AnswerReader) and checks only what tells such an answer from others.
    With a table in use, only header blocks of the one byte 0x88 may be skipped. Window updates between the answers
    are passed over, as no body waits: HAProxy sends one for each push, for a stream whose whole body has gone.
    """
    answers = updates = body_bytes = 0
    size = len(data)
    last = size - frames.HEAD_BYTES
    unpack, increment = HEAD.unpack_from, _INCREMENT.unpack_from
    owner, opened, end_run = streams.owner, streams.opened, streams.end_run
    longest_ok = _LONGEST_HEAD if is_stateless else _OK_HEAD_MAX
    while at <= last:
        head, flags, stream = unpack(data, at)
        body = at + 9
        stop = body + (head >> 8)
        if stop > size or head > _LONGEST_HEAD:
            break
        if head & 0xFF == 1:  # HEADERS
            if head < 0x100 or data[body] != _OK_BYTE or head > longest_ok or stream in opened:
                break
            if flags == 5:  # END_HEADERS, END_STREAM, and neither padding nor priority
                run = owner.pop(stream, None)
                if run is None:
                    break
                run.results[run.offset + (stream >> 1)] = OK
                run.left -= 1
                if not run.left:
                    end_run(run)
            elif flags == 4 and stream in owner:
                opened[stream] = OK
            else:
                break
            answers += 1
        elif head == _UPDATE_HEAD and stream & 1 and stream < next_stream and increment(data, body)[0] & WINDOW_MAX:
            updates += 1
        elif head & 0xFF == 0 and flags == 1 and opened.get(stream) is OK:  # DATA, END_STREAM
            del opened[stream]
            run = owner.pop(stream)
            run.results[run.offset + (stream >> 1)] = Answer(200, (), data[body:stop]) if stop > body else OK
            body_bytes += stop - body
            run.left -= 1
            if not run.left:
                end_run(run)
            answers += 1
        else:
            break
        at = stop
    return Passed(at, answers, updates, body_bytes)
