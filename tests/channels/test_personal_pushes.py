"""Each reader's own names and badge reach their own phone, through every second try."""

from __future__ import annotations

import json
from collections.abc import Sequence

import msgspec

from channels.notification import NEUTRAL
from engine.outcomes import ACCEPTED, Rejected
from engine.records.event import Text
from engine.records.words import Language
from engine.records.work import Batch, Personal
from tests.channels.events import batch_of, changed
from tests.channels.peer import Line, Peer, Request
from tests.channels.test_push_clients import FCM_TOKENS, Grants, apns_sending_to, fcm_error, fcm_name, fcm_sending_to

NAMED = changed(content_texts={Language.DA: Text("{children} har fri", "Hej")})
TOKENS = [b"%064x" % number for number in range(40)]
MALFORMED = Rejected(reason="malformed_token", endpoint_gone=True)


def named(tokens: Sequence[bytes], lane: str = "apns.parent") -> Batch:
    """A batch in which each reader's child is called after the token's end, and the badge is its place."""
    personal = [Personal(at, f"Barn-{token[-3:].decode()}") for at, token in enumerate(tokens)]
    return msgspec.structs.replace(batch_of(tokens, NAMED, lane), personal=personal)


def apns_shown(peer: Peer) -> dict[str, tuple[str, int]]:
    found = {}
    for request in peer.requests:
        aps = json.loads(request.body)["aps"]
        found[request.token] = (aps["alert"].get("title", ""), aps["badge"])
    return found


async def test_apns_each_token_gets_its_own_body_and_a_malformed_one_shifts_nobodys() -> None:
    peer = Peer()
    tokens = [*TOKENS[:20], b"no-hexadecimal", *TOKENS[20:]]
    async with apns_sending_to(peer) as sender:
        outcomes = await sender.send(named(tokens))
    assert outcomes == [MALFORMED if token == b"no-hexadecimal" else ACCEPTED for token in tokens]
    assert apns_shown(peer) == {
        token.decode(): (f"Barn-{token[-3:].decode()} har fri", at)
        for at, token in enumerate(tokens)
        if token != b"no-hexadecimal"
    }


async def test_apns_the_second_try_of_some_carries_their_own_bodies() -> None:
    tried: set[str] = set()

    def expired_once(line: Line, request: Request) -> None:
        if request.token[-1] in "37b" and request.token not in tried:
            tried.add(request.token)
            line.answer(request, 403, b'{"reason":"ExpiredProviderToken"}')
        else:
            line.answer(request)

    peer = Peer(expired_once)
    async with apns_sending_to(peer) as sender:
        assert await sender.send(named(TOKENS)) == [ACCEPTED] * len(TOKENS)
    assert len(peer.requests) == len(TOKENS) + len(tried)
    assert {request.token: request.body for request in peer.requests[len(TOKENS) :]} == {
        request.token: request.body for request in peer.requests[: len(TOKENS)] if request.token in tried
    }
    assert apns_shown(peer) == {
        token.decode(): (f"Barn-{token[-3:].decode()} har fri", at) for at, token in enumerate(TOKENS)
    }


async def test_apns_a_body_called_too_large_is_followed_by_the_short_one_with_the_readers_badge() -> None:
    def too_large(line: Line, request: Request) -> None:
        if b"Barn" in request.body and request.token.endswith("5"):
            line.answer(request, 413, b'{"reason":"PayloadTooLarge"}')
        else:
            line.answer(request)

    peer = Peer(too_large)
    async with apns_sending_to(peer) as sender:
        assert await sender.send(named(TOKENS[:8])) == [ACCEPTED] * 8
    short = json.loads(peer.requests[-1].body)["aps"]
    assert (short["alert"], short["badge"]) == ({"body": NEUTRAL[Language.DA].body}, 5)


async def test_fcm_each_token_gets_its_own_body_and_a_malformed_one_shifts_nobodys() -> None:
    refused: set[bytes] = set()

    def one_storm(line: Line, request: Request) -> None:
        if len(refused) < 4 and request.body not in refused:
            refused.add(request.body)
            fcm_error(line, request, 401, "")
        else:
            fcm_name(line, request)

    peer, grants = Peer(one_storm), Grants()
    tokens = [*FCM_TOKENS[:5], b'quo"te', *FCM_TOKENS[5:]]
    async with fcm_sending_to(peer, grants) as sender:
        outcomes = await sender.send(named(tokens, "fcm.parent"))
    assert outcomes == [MALFORMED if token == b'quo"te' else ACCEPTED for token in tokens]
    shown = {}
    for request in peer.requests:
        message = json.loads(request.body)["message"]
        count = message["android"]["notification"]["notification_count"]
        shown[message["token"]] = (message["notification"]["title"], count)
    assert shown == {
        token.decode(): (f"Barn-{token[-3:].decode()} har fri", at)
        for at, token in enumerate(tokens)
        if token != b'quo"te'
    }
    assert len(peer.requests) == len(FCM_TOKENS) + len(refused)
