"""Every key of the directory. Keys with the same hash tag may stand in one script.

| key | type | what |
|---|---|---|
| `{d<b%16>}:m:<b>` | hash | block b: `v` its version, `o` what its last write still owes (see `owed.py`) |
| `{d<b%16>}:c:<b>` | hash | offset byte -> card (see `card.py`) |
| `{d<b%16>}:p:<b>` | hash | plane name -> mask |
| `{d<b%16>}:q:<b>` | hash | half-hour of the week -> mask |
| `{d<b%16>}:e:<lane>.<slot>:<b>` | hash | offset byte -> generation (u16, big-endian) and address |
| `{d<b%16>}:l:<b>` | hash | guardian and child number -> letter that the guardian's card has yet to hear |
| `{d<t>}:open` | set | blocks of the tag that owe something or have letters |
| `{r<crc%16>}:<roster name>` | hash | block -> block version (u32) and mask |
| `{i<crc%16>}:<crc/16%2048>` | hash | id -> number (u32) |
| `{t<digest%16>}:<digest/16%4096>` | hash | rest of a token's digest -> owner's number and block version (u32 each) |
| `directory:...` | | journal, counter of people, secret, institutions, groups, strategies, imports |

Buckets hold about 60 entries at two million people, so that they stay compact lists.
"""

from __future__ import annotations

from zlib import crc32

TAGS = 16
ID_BUCKETS = 2048  # a tag
TOKEN_BUCKETS = 4096  # a tag

JOURNAL = b"directory:journal"
PEOPLE = b"directory:people"  # how many numbers were given
SECRET = b"directory:secret"  # keys the digests of tokens
INSTITUTIONS = b"directory:institutions"  # id -> municipality
INSTITUTION_FACTS = b"directory:institution-facts"
GROUPS = b"directory:groups"  # id -> institution
GROUP_FACTS = b"directory:group-facts"

VERSION = b"v"
OWED = b"o"

OFFSETS = tuple(bytes([offset]) for offset in range(256))
"""The field of a person in its block's hashes."""


def meta(block: int) -> bytes:
    return b"{d%d}:m:%d" % (block & 15, block)


def cards(block: int) -> bytes:
    return b"{d%d}:c:%d" % (block & 15, block)


def planes(block: int) -> bytes:
    return b"{d%d}:p:%d" % (block & 15, block)


def quiet(block: int) -> bytes:
    return b"{d%d}:q:%d" % (block & 15, block)


def endpoints(block: int, lane: bytes, slot: int) -> bytes:
    return b"{d%d}:e:%b.%d:%d" % (block & 15, lane, slot, block)


def letters(block: int) -> bytes:
    return b"{d%d}:l:%d" % (block & 15, block)


def open_blocks(tag: int) -> bytes:
    return b"{d%d}:open" % (tag & 15)


def roster(name: str) -> tuple[int, bytes]:
    """The tag and key of a roster."""
    spelled = name.encode()
    tag = crc32(spelled) & 15
    return tag, b"{r%d}:%b" % (tag, spelled)


def person_id(spelled: bytes) -> tuple[int, bytes]:
    """The tag and key of the bucket that an id is looked up in."""
    crc = crc32(spelled)
    tag = crc & 15
    return tag, b"{i%d}:%d" % (tag, crc >> 4 & ID_BUCKETS - 1)


def token(digest: bytes) -> tuple[int, bytes]:
    """The tag and key of the bucket that a token's digest is looked up in."""
    head = digest[0] << 8 | digest[1]
    tag = head & 15
    return tag, b"{t%d}:%d" % (tag, head >> 4 & TOKEN_BUCKETS - 1)


def strategies(tenant: str) -> str:
    return f"directory:strategies:{tenant}"


def importing(import_id: str) -> str:
    return f"directory:import:{import_id}"
