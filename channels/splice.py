"""A JSON body built once, cut where readers differ: badge and children's names are joined in per reader. Pure.

Encoding JSON is done a letter at a time, so that the encoding of a text with names in it is the encoding of its pieces
and of the names, joined: no reader's body is encoded as a whole. `tests/channels/test_splice.py` holds every spliced
body against the plainly encoded one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from channels.notification import PAYLOAD_BYTES_MAX
from engine.records.event import Text
from engine.records.placeholder import CHILDREN, capital, parts
from engine.records.work import Personal

BADGE, PLAIN, OPENING = range(3)
"""What a gap takes: the badge field, the names, the names with a capital."""


class Spliced(NamedTuple):
    """Constant bytes with gaps: `pieces[at]` is empty for each `(at, gap)` of `gaps`."""

    pieces: tuple[bytes, ...]
    gaps: tuple[tuple[int, int], ...]

    def body(self, fillings: Sequence[bytes]) -> bytes:
        """Join it for one reader; `fillings` by gap (`filling_of`)."""
        if not self.gaps:
            return self.pieces[0]
        pieces = list(self.pieces)
        for at, gap in self.gaps:
            pieces[at] = fillings[gap]
        return b"".join(pieces)


NOTHING_PERSONAL = (b"", b"", b"")


def spliced(parts_and_gaps: Iterable[bytes | int]) -> Spliced:
    """Make it from constant bytes and gaps in their order; neighbouring bytes are joined now, not per reader."""
    pieces: list[bytes] = []
    gaps: list[tuple[int, int]] = []
    constant: list[bytes] = []
    for part in parts_and_gaps:
        if isinstance(part, bytes):
            constant.append(part)
            continue
        pieces += (b"".join(constant), b"")
        gaps.append((len(pieces) - 1, part))
        constant.clear()
    pieces.append(b"".join(constant))
    return Spliced(tuple(pieces), tuple(gaps))


def cut_text(field: str, text: str) -> Iterator[bytes | int]:
    """`"field":"text"` as JSON, with a gap for each placeholder."""
    yield b'"%b":"' % field.encode()
    pieces, opens = parts(text) if CHILDREN in text else ([text], [])
    yield _inside(pieces[0])
    for piece, is_opening in zip(pieces[1:], opens, strict=True):
        yield OPENING if is_opening else PLAIN
        yield _inside(piece)
    yield b'"'


def cut_alert(text: Text) -> Iterator[bytes | int]:
    """Title, if there is one, and body, as the inside of a JSON object."""
    if text.title:
        yield from cut_text("title", text.title)
        yield b","
    yield from cut_text("body", text.body)


def _inside(text: str) -> bytes:
    """A text as JSON, without its quotation marks."""
    return msgspec.json.encode(text)[1:-1]


class Bodies:
    """The bodies of one batch: for each reader the first candidate that fits with their own names.

    Names repeat (`børnene`) and badges do (0, 1, 2), so that each filling is joined once.

    Args:
        candidates: best first; the last one holds no names and always fits.
        badge_field: the name of the badge in this provider's JSON, with the comma before it: `b',"badge":'`.
        reserve_bytes: what is added to each body afterwards.
    """

    def __init__(self, candidates: Sequence[Spliced], badge_field: bytes, reserve_bytes: int = 0) -> None:
        self._candidates = candidates
        self._badge_field = badge_field
        self._bytes_max = PAYLOAD_BYTES_MAX - reserve_bytes
        self._known: dict[Personal, bytes] = {}

    def of(self, personal: Personal) -> bytes:
        """The body for one reader."""
        body = self._known.get(personal)
        if body is None:
            body = self._known[personal] = self._joined(personal)
        return body

    def _joined(self, personal: Personal) -> bytes:
        fillings = filling_of(personal, self._badge_field)
        for candidate in self._candidates[:-1]:
            body = candidate.body(fillings)
            if len(body) <= self._bytes_max:
                return body
        return self._candidates[-1].body(fillings)


def filling_of(personal: Personal, badge_field: bytes) -> tuple[bytes, bytes, bytes]:
    """What is written into the gaps for one reader."""
    badge = b"" if personal.badge is None else b"%b%d" % (badge_field, personal.badge)
    return badge, _inside(personal.children), _inside(capital(personal.children))
