"""Our APNs request against the one that aioapns sends for the same notification, both seen by the same server.

Wanted differences, each checked below:
- `:authority` instead of `host`: RFC 9113 section 8.3.1 asks clients for it; aioapns sends the HTTP/1 header.
- `authorization`: another signature over the same claims (ECDSA signs differently each time, `iat` moves on).
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Mapping
from typing import Any

import aioapns.connection
import jwt
import trio
from aioapns import APNs, NotificationRequest, PushType

from channels.apns.client import ApnsSender
from channels.notification import collapse_key
from engine.records.event import Event
from engine.records.words import Urgency
from tests.channels.events import EVENT, batch_of, changed
from tests.channels.peer import Line, Peer, Request, certificates
from tests.channels.test_push_clients import apns_settings, ec_key, pem

TOKEN = b"%064x" % 0xA1B2


class ToPeer(aioapns.connection.APNsTLSClientProtocol):
    APNS_SERVER = "localhost"


def send_with_aioapns(port: int, fields: Mapping[str, Any]) -> bool:
    """What a program on aioapns does, with the server's name and port bent to ours."""

    async def send() -> bool:
        client = APNs(
            key=pem(ec_key()).decode(), key_id="KEY4567890", team_id="TEAM567890", topic="dk.klokke.parent",
            ssl_context=ssl.create_default_context(cafile=certificates()[1]),
        )  # fmt: skip
        ToPeer.APNS_PORT = port
        client.pool.protocol_class = ToPeer
        result = await client.send_notification(NotificationRequest(**fields))
        client.pool.close()
        return bool(result.is_successful)

    return asyncio.run(send())


def echo_id(line: Line, request: Request) -> None:
    line.answer(request, apns_id=request.headers["apns-id"])  # aioapns matches answers by it


async def both(event: Event) -> tuple[Request, Request]:
    peer = Peer(echo_id)
    async with trio.open_nursery() as nursery:
        await nursery.start(peer.run)
        sender = ApnsSender(apns_settings(peer.port))
        await nursery.start(sender.run)
        await sender.send(batch_of([TOKEN], event))
        ours = peer.requests[0]
        fields = {
            "device_token": TOKEN.decode(),
            "message": json.loads(ours.body),
            "notification_id": ours.headers["apns-id"],
            "priority": 10 if event.urgency is not Urgency.BULK else 5,
            "collapse_key": collapse_key(event),
            "push_type": PushType.ALERT,
            "time_to_live": event.expires_ms // 1000,
        }
        assert await trio.to_thread.run_sync(send_with_aioapns, peer.port, fields)
        nursery.cancel_scope.cancel()
    return ours, peer.requests[1]


async def test_our_request_is_the_one_that_aioapns_sends() -> None:
    for event in (EVENT, changed(urgency=Urgency.BULK, entity="0751/calendar/abc/", sensitive=True)):
        ours, theirs = await both(event)
        mine, other = dict(ours.headers), dict(theirs.headers)
        assert mine.pop(":authority").startswith("localhost:")
        assert other.pop("host") == "localhost"
        claims = [
            jwt.decode(headers.pop("authorization").removeprefix("bearer "), ec_key().public_key(), ["ES256"])
            for headers in (mine, other)
        ]
        assert claims[0].keys() == claims[1].keys() == {"iss", "iat"}
        assert claims[0]["iss"] == claims[1]["iss"] == "TEAM567890"
        # aioapns is told a time to live and adds its clock: what is compared is that ours is the event's expiry
        assert mine.pop("apns-expiration") == str(event.expires_ms // 1000)
        assert int(other.pop("apns-expiration")) > event.expires_ms // 1000
        assert mine == other
        assert json.loads(ours.body) == json.loads(theirs.body)
