"""A pool that sends to the scripted peer, and batches for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
import trio.testing

from channels.http2.connection import Origin
from channels.http2.headers import Template
from channels.http2.jobs import Failure, FailureKind, Requests
from channels.http2.pool import Pool, PoolSettings
from channels.http2.tls import client_context
from tests.channels.peer import Peer, certificates

TEMPLATE = Template(
    b"/3/device/",
    indexed=((b"apns-topic", b"dk.klokke"), (b"apns-push-type", b"alert")),
    literal=((b"authorization", b"bearer secret"),),
    value_name=b"apns-id",
    value_bytes=4,
)
BODY = b'{"aps":{"alert":{"body":"Husk madpakke"}}}'


def batch(count: int, body: bytes = BODY, name: str = "t") -> Requests:
    tokens = [f"{name}{index:04}".encode() for index in range(count)]
    return Requests(TEMPLATE, count, tokens, [b"%04d" % index for index in range(count)], body)


@asynccontextmanager
async def sending_to(peer: Peer, settings: PoolSettings | None = None) -> AsyncIterator[Pool]:
    async with trio.open_nursery() as nursery:
        await nursery.start(peer.run)
        wanted = settings or PoolSettings(Origin("localhost"))
        pool = Pool(wanted._replace(origin=Origin("localhost", peer.port)), client_context(certificates()[1]))
        await nursery.start(pool.run)
        yield pool
        nursery.cancel_scope.cancel()


def unknown(reason: str) -> Failure:
    return Failure(FailureKind.UNKNOWN, reason)
