"""From ids to recipient numbers and from tokens to digests. Numbers are dense, in the order in which ids arrive."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Sequence

from queueing.directory.draft import VERSION as U32
from queueing.directory.keys import PEOPLE, SECRET, person_id
from queueing.directory.spread import GATHER, NUMBER, Spread
from queueing.link import Link

DIGEST_BYTES = 8  # three million tokens: a chance of one in five million that any two collide
_SECRET_BYTES = 16


async def find_numbers(link: Link, ids: Iterable[str]) -> dict[str, int]:
    """The numbers of these ids, people who are gone included; unknown ids are left out."""
    lookup = Spread(GATHER)
    asked = list(dict.fromkeys(ids))
    for id in asked:
        spelled = id.encode()
        lookup.add(person_id(spelled), spelled)
    found = lookup.replies(await link.run(lookup.commands()))
    return {id: U32.unpack(number)[0] for id, number in zip(asked, found, strict=True) if number}


async def give_numbers(link: Link, ids: Sequence[str]) -> dict[str, int]:
    """Give the next numbers to ids that have none; one that got a number meanwhile keeps that."""
    if not ids:
        return {}
    first = await link.ask("INCRBY", PEOPLE, len(ids)) - len(ids)
    giving = Spread(NUMBER)
    for number, id in enumerate(ids, first):
        spelled = id.encode()
        giving.add(person_id(spelled), spelled, U32.pack(number))
    given = giving.replies(await link.run(giving.commands()))
    return {id: U32.unpack(number)[0] for id, number in zip(ids, given, strict=True)}


async def read_secret(link: Link) -> bytes:
    """The key of this directory's digests; made once."""
    replies = await link.run([("SET", SECRET, secrets.token_bytes(_SECRET_BYTES), "NX"), ("GET", SECRET)])
    return bytes(replies[1])


class Digests:
    """Names addresses without showing them: 8 bytes of BLAKE2b, keyed with the directory's secret."""

    def __init__(self, secret: bytes) -> None:
        self._keyed = hashlib.blake2b(digest_size=DIGEST_BYTES, key=secret)

    def of(self, address: bytes) -> bytes:
        digest = self._keyed.copy()  # half the price of keying anew
        digest.update(address)
        return digest.digest()
