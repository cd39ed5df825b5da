"""The journal: what each write of the directory changed, for those who planned with what was there before."""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Collection

from engine.ports import Changes
from queueing.directory.keys import JOURNAL
from queueing.link import Command, Link, Reply

ENTRIES_KEPT = 20_000
_PAGE = 1000
_BEGINNING = "0-0"
_COMPRESS_FROM_BYTES = 400  # an import names a thousand rosters at once


def entry(blocks: Collection[int], rosters: Collection[str]) -> Command:
    """The command that writes one entry. It is sent after what it speaks of has been written."""
    names = "\n".join(sorted(rosters)).encode()
    field = b"r"
    if len(names) > _COMPRESS_FROM_BYTES:
        names, field = zlib.compress(names, 1), b"z"
    packed = array("I", sorted(blocks)).tobytes()
    return ("XADD", JOURNAL, "MAXLEN", "~", ENTRIES_KEPT, "*", b"b", packed, field, names)


async def stamp(link: Link) -> str:
    """The id of the newest entry."""
    newest = await link.ask("XREVRANGE", JOURNAL, "+", "-", "COUNT", 1)
    return newest[0][0].decode() if newest else _BEGINNING


async def changes_since(link: Link, stamp: str) -> Changes | None:
    """Everything after the entry `stamp`; None when that entry has been trimmed away."""
    blocks: set[int] = set()
    rosters: set[str] = set()
    newest = stamp
    if stamp == _BEGINNING:
        if await _was_trimmed(link):
            return None
    elif not await link.ask("XRANGE", JOURNAL, stamp, stamp):
        return None
    while True:
        page = await link.ask("XRANGE", JOURNAL, f"({newest}", "+", "COUNT", _PAGE)
        for id, fields in page:
            newest = id.decode()
            _read(fields, blocks, rosters)
        if len(page) < _PAGE:
            return Changes(newest, frozenset(blocks), frozenset(rosters))


async def _was_trimmed(link: Link) -> bool:
    first = await link.ask("XRANGE", JOURNAL, "-", "+", "COUNT", 1)
    if not first:
        return False
    facts = await link.ask("XINFO", "STREAM", JOURNAL)
    told = dict(zip(facts[::2], facts[1::2], strict=True))
    return bool(told[b"entries-added"] != told[b"length"])


def _read(fields: Reply, blocks: set[int], rosters: set[str]) -> None:
    told = dict(zip(fields[::2], fields[1::2], strict=True))
    blocks.update(array("I", told[b"b"]))
    names = zlib.decompress(told[b"z"]) if b"z" in told else told[b"r"]
    if names:
        rosters.update(names.decode().split("\n"))
