"""WebPushSender against the scripted peer: what goes over the wire, second tries, and what stays secret."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import msgspec
import pytest
import trio
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from channels.http2.connection import is_public
from channels.webpush.answers import KEY_REFUSED, OTHER_KEY
from channels.webpush.client import WebPushSender, WebPushSettings
from engine.outcomes import ACCEPTED, Outcome, Rejected, Throttled, Unreachable
from engine.records.work import Batch, Personal
from tests.channels.events import EVENT, batch_of, changed
from tests.channels.peer import Line, Peer, Request, certificates
from tests.webpush.browsers import application_key, browser, vapid_pem

COUNT = 20
LOOKS_RIGHT = browser().address("https://localhost:1/")


def settings(port: int, **changes: object) -> WebPushSettings:
    made = WebPushSettings(
        origin=f"https://localhost:{port}",
        private_key_pem=vapid_pem(),
        subject="mailto:operator@example.dk",
        ca_file=certificates()[1],
        allow_private=True,
    )
    return msgspec.structs.replace(made, **changes)


@asynccontextmanager
async def sending_to(peer: Peer, **changes: object) -> AsyncIterator[WebPushSender]:
    async with trio.open_nursery() as nursery:
        await nursery.start(peer.run)
        sender = WebPushSender(settings(peer.port, **changes))
        await nursery.start(sender.run)
        yield sender
        nursery.cancel_scope.cancel()


def batch(peer: Peer, count: int = COUNT, seconds: float = 5.0, number: int = EVENT.number) -> Batch:
    # Paths of different lengths, as they are in life.
    start = f"https://localhost:{peer.port}/push/"
    addresses = [browser(at % 4).address(f"{start}{at}-{'x' * (at % 7)}") for at in range(count)]
    return batch_of(addresses, changed(EVENT, number=number), lane="webpush.test", seconds=seconds)


def place_of(request: Request) -> int:
    return int(request.headers[":path"].removeprefix("/push/").partition("-")[0])


def answering(**statuses: Sequence[int]) -> Callable[[Line, Request], None]:
    """`s410=(3, 4)`: those places get a 410, all others a 201 with a Location of their own."""

    def script(line: Line, request: Request) -> None:
        at = place_of(request)
        status = next((int(name[1:]) for name, places in statuses.items() if at in places), 201)
        if status == 201:
            line.answer(request, 201, location=f"https://localhost/message/{at}", ttl="60")
        else:
            line.answer(request, status, b"words for people")

    return script


async def test_each_browser_can_open_its_message_and_the_headers_are_those_of_the_rfcs() -> None:
    peer = Peer(answering())
    async with sending_to(peer) as sender:
        assert await sender.send(batch(peer)) == [ACCEPTED] * COUNT
    assert sorted(map(place_of, peer.requests)) == list(range(COUNT))
    deliveries = set()
    for request in peer.requests:
        shown = browser(place_of(request) % 4).told(request.body)
        assert shown["body"] == "Husk regntøj og madpakke på tur i morgen."
        deliveries.add(shown["delivery"])
        headers = request.headers
        assert headers[":authority"] == f"localhost:{peer.port}"
        assert headers["content-encoding"] == "aes128gcm"
        assert (headers["urgency"], headers["topic"]) == ("normal", EVENT.public_id)
        assert 0 < int(headers["ttl"]) <= 2_419_200
        assert re.fullmatch(rf"vapid t=\S+, k={application_key()}", headers["authorization"])
    assert len(deliveries) == COUNT


async def test_outcomes_stand_in_the_order_of_the_endpoints() -> None:
    peer = Peer(answering(s410=(3, 4), s404=(7,), s503=(9,), s302=(11,), s418=(12,)))
    async with sending_to(peer) as sender:
        outcomes = await sender.send(batch(peer))
    expected: list[Outcome] = [ACCEPTED] * COUNT
    expected[3] = expected[4] = Rejected(reason="gone", endpoint_gone=True)
    expected[7] = Rejected(reason="not_found", endpoint_gone=True)
    expected[9] = Unreachable(reason="unavailable")
    expected[11] = Unreachable(reason="redirect_refused")
    expected[12] = Unreachable(reason="unrecognised_4xx")
    assert outcomes == expected
    assert len(peer.requests) == COUNT


async def test_a_redirect_is_not_followed() -> None:
    peer = Peer(lambda line, request: line.answer(request, 307, location="https://169.254.169.254/latest/meta-data"))
    async with sending_to(peer) as sender:
        assert await sender.send(batch(peer, 1)) == [Unreachable(reason="redirect_refused")]
    assert len(peer.requests) == 1


async def test_retry_after_is_handed_on() -> None:
    peer = Peer(lambda line, request: line.answer(request, 429, b"", retry_after="7"))
    async with sending_to(peer) as sender:
        found = await sender.send(batch(peer, 1))
    assert found == [Throttled(reason="too_many_requests", lane_wide=True, retry_after_seconds=7.0)]


@pytest.mark.parametrize("status", [401, 403])
async def test_a_storm_of_refused_tokens_makes_one_renewal(status: int) -> None:
    refused: set[str] = set()

    def script(line: Line, request: Request) -> None:
        if not refused:
            refused.add(request.headers["authorization"])
        line.answer(request, status if request.headers["authorization"] in refused else 201)

    peer = Peer(script)
    ends: list[Sequence[Outcome]] = []
    async with sending_to(peer) as sender, trio.open_nursery() as nursery:

        async def send(number: int) -> None:
            ends.append(await sender.send(batch(peer, 3, number=number)))

        for number in range(6):
            nursery.start_soon(send, number)
    assert ends == [[ACCEPTED] * 3] * 6
    assert len({request.headers["authorization"] for request in peer.requests}) == 2


@pytest.mark.parametrize("status", [401, 403])
async def test_a_key_that_is_always_refused_parks_the_lane_and_calls_nobody_gone(status: int) -> None:
    peer = Peer(lambda line, request: line.answer(request, status))
    async with sending_to(peer) as sender:
        assert await sender.send(batch(peer, 8)) == [KEY_REFUSED] * 8


async def test_a_subscription_made_with_another_key_goes_alone() -> None:
    peer = Peer(answering(s403=(5,)))
    async with sending_to(peer) as sender:
        outcomes = await sender.send(batch(peer))
    assert [at for at, outcome in enumerate(outcomes) if outcome == OTHER_KEY] == [5]
    assert outcomes.count(ACCEPTED) == COUNT - 1


async def test_a_message_called_too_large_is_sent_once_with_the_neutral_text() -> None:
    bodies: list[bytes] = []

    def script(line: Line, request: Request) -> None:
        bodies.append(browser(0).open(request.body))
        line.answer(request, 413 if b"Klasse 3B" in bodies[-1] else 201)

    peer = Peer(script)
    async with sending_to(peer) as sender:
        assert await sender.send(batch(peer, 1)) == [ACCEPTED]
        peer.script = lambda line, request: line.answer(request, 413)
        assert await sender.send(batch(peer, 1)) == [Rejected(reason="payload_too_large", our_fault=True)]
    first, second = bodies
    assert b"Klasse 3B" in first
    assert b"Klasse" not in second


async def test_what_cannot_be_sent_gets_its_end_and_its_neighbours_go() -> None:
    peer = Peer(answering())
    async with sending_to(peer) as sender:
        good = batch(peer, 2)
        origin = f"https://localhost:{peer.port}"
        elsewhere = browser().address("https://localhost.evil.example/push/1")
        beside = browser().address(f"{origin}0/push/1")
        no_point = b"\x04" + b"\x01" * 64 + browser().address(f"{origin}/push/9")[65:]
        addresses = [good.endpoints[0].address, b"short", elsewhere, beside, no_point, good.endpoints[1].address]
        outcomes = await sender.send(batch_of(addresses, lane="webpush.test"))
        assert await sender.send(batch_of([], lane="webpush.test")) == []
        assert await sender.send(batch_of([b""], lane="webpush.test")) == outcomes[1:2]
    malformed = Rejected(reason="malformed_subscription", endpoint_gone=True)
    other = Rejected(reason="other_push_service", our_fault=True)
    assert outcomes == [ACCEPTED, malformed, other, other, malformed, ACCEPTED]
    assert len(peer.requests) == 2


@given(st.lists(st.binary(max_size=200) | st.binary(max_size=60).map(LOOKS_RIGHT.__add__), max_size=8))
@hypothesis_settings(deadline=None, max_examples=60)
def test_whatever_is_stored_the_sender_answers_for_each(addresses: list[bytes]) -> None:
    async def send() -> Sequence[Outcome]:
        return await WebPushSender(settings(1)).send(batch_of(addresses, lane="webpush.test"))  # nobody listens there

    outcomes = trio.run(send)
    assert len(outcomes) == len(addresses)
    for address, outcome in zip(addresses, outcomes, strict=True):
        is_sent = address.startswith(LOOKS_RIGHT) and all(0x21 <= byte < 0x7F for byte in address[len(LOOKS_RIGHT) :])
        assert (outcome == Unreachable(reason="closed")) == is_sent


async def test_each_reader_is_told_the_names_of_their_own_children() -> None:
    peer = Peer(answering())
    async with sending_to(peer) as sender:
        text = changed(
            EVENT, content_texts={"da": msgspec.structs.replace(EVENT.text(batch(peer).language), title="{children}")}
        )
        told = msgspec.structs.replace(
            batch(peer, 3), event=text, personal=[Personal(1, "Asta"), Personal(2, "Bo"), Personal(1, "Asta")]
        )
        assert await sender.send(told) == [ACCEPTED] * 3
    shown = {place_of(request): browser(place_of(request)).told(request.body) for request in peer.requests}
    assert [(shown[at]["title"], shown[at]["badge"]) for at in range(3)] == [("Asta", 1), ("Bo", 2), ("Asta", 1)]


async def test_a_name_that_leads_into_a_private_network_is_not_spoken_to() -> None:
    peer = Peer(answering())
    async with sending_to(peer, allow_private=False) as sender:
        assert await sender.send(batch(peer, 2)) == [Unreachable(reason="private_address", park=True)] * 2
    assert not peer.requests
    assert not peer.lines


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
     "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
     "2002:7f00:1::", "ff02::1", "64:ff9b::10.0.0.1", "::192.168.0.1", "2001::1", "fd12:3456::1", "192.0.2.1",
     "64:ff9b:1::7f00:1", "fec0::1", "::ffff:0:127.0.0.1", "192.0.0.8", "192.88.99.1"],
)  # fmt: skip
def test_addresses_that_are_not_of_the_open_internet(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    ["142.250.74.106", "17.57.146.20", "2a00:1450:400f:80d::200a", "::ffff:142.250.74.106", "64:ff9b::17.57.146.20"],
)
def test_addresses_of_the_open_internet(address: str) -> None:
    assert is_public(address)


async def test_no_key_or_address_is_shown() -> None:
    shown = repr(settings(1))
    assert "PRIVATE" not in shown
    assert "operator" not in shown
    peer = Peer()
    async with sending_to(peer) as sender:
        assert await sender.send(batch(peer, 1))
        assert "PRIVATE" not in repr(sender.__dict__)
