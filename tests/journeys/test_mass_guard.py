"""A wrong configuration makes every device look bad: the lane parks, nothing is deleted, after the fix all goes out.

The engine's real parts and the real senders, against simulated providers that judge as the real ones do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import trio

from channels.apns.client import ApnsSender
from channels.fcm.client import FcmSender
from channels.simulator.answers import Answer, Ready
from channels.simulator.apns import Apns
from channels.simulator.apns_rules import Sender as KnownSender
from channels.simulator.fcm import Fcm
from channels.simulator.header_table import Field
from channels.simulator.ledger import Ledger
from channels.simulator.service import Fate
from channels.webpush.client import WebPushSender
from engine.outcomes import ACCEPTED, Outcome, Rejected
from engine.ports import Sender
from engine.records.event import Audience, Term
from engine.records.person import Device, Person
from engine.records.web_push import device_of
from engine.records.words import Channel, End, Platform, Role
from engine.records.work import Batch, Endpoint
from engine.rules.devices import DeviceRules, PushService
from queueing.directory import StoreDirectory
from queueing.link import Link
from tests.channels.kinds import (
    KEY_ID,
    KINDS,
    PROJECT,
    STREAMS,
    TEAM_ID,
    TOPIC,
    CountedOAuth,
    apns_service,
    apns_settings,
    fcm_service,
    fcm_settings,
    public,
    webpush_service,
    webpush_settings,
)
from tests.channels.simulated import Kind, Simulated, ledger_name
from tests.channels.test_push_clients import ec_key, pem
from tests.journeys.engine_world import APNS, FCM, LANES, World, pupil

OTHER_TOPIC, OTHER_PROJECT = "dk.klokke.staff", "klokke-staff"
SIZE = 120


class TokensOfOneTopic(Apns):
    """APNs for a key that may use two topics; all tokens belong to one of them, as with two apps of one firm."""

    def __init__(self, ledger: Ledger, url: str) -> None:
        sender = KnownSender(public("ec"), KEY_ID, TEAM_ID, frozenset({TOPIC, OTHER_TOPIC}))
        super().__init__(ledger, validating=True, sender=sender, streams=STREAMS, streams_at_first=1)

    def vouch(self, fields: Sequence[Field]) -> object | None:
        return super().vouch(fields) if dict(fields)[b"apns-topic"] == TOPIC.encode() else None

    def answer(self, fields: Sequence[Field], body: bytes, fate: Fate | None) -> Answer:
        if dict(fields)[b"apns-topic"] != TOPIC.encode():
            fate = Fate(400, "DeviceTokenNotForTopic")
        return super().answer(fields, body, fate)


class SandboxTokens(Apns):
    """APNs of the wrong environment: it knows none of the tokens until it is told that it is the right one."""

    is_right = False

    def __init__(self, ledger: Ledger, url: str) -> None:
        sender = KnownSender(public("ec"), KEY_ID, TEAM_ID, frozenset({TOPIC}))
        super().__init__(ledger, validating=True, sender=sender, streams=STREAMS, streams_at_first=1)

    def quick(self, voucher: object, values: Sequence[bytes], body: bytes) -> Ready | None:
        return super().quick(voucher, values, body) if self.is_right else None

    def answer(self, fields: Sequence[Field], body: bytes, fate: Fate | None) -> Answer:
        return super().answer(fields, body, fate if self.is_right else Fate(400, "BadDeviceToken"))


class TokensOfOneProject(Fcm):
    """FCM with two projects; all tokens were given by one of them."""

    def __init__(self, ledger: Ledger, url: str) -> None:
        oauth = CountedOAuth(public("rsa"), 3_600, {f"{url}/token"}.__contains__)
        super().__init__(ledger, oauth, validating=True, project="", streams=STREAMS)

    def vouch(self, fields: Sequence[Field]) -> object | None:
        return super().vouch(fields) if PROJECT.encode() in dict(fields)[b":path"].split(b"/") else None

    def answer(self, fields: Sequence[Field], body: bytes, fate: Fate | None) -> Answer:
        path = dict(fields)[b":path"]
        if path != b"/token" and PROJECT.encode() not in path.split(b"/"):
            fate = Fate(403, "SENDER_ID_MISMATCH")
        return super().answer(fields, body, fate)


class Mistake(NamedTuple):
    """A wrong configuration: how the provider sees it, how it is put right, and what an operator reads."""

    kind: Kind
    service: Callable[[Ledger, str], Any]
    wrong: Callable[[Simulated], Sender]
    why: str
    reason: str  # under which the deliveries wait
    sends: int = 1  # how often each is sent before the lane is parked


def apns(topic: str) -> Callable[[Simulated], Sender]:
    return lambda simulated: ApnsSender(apns_settings(simulated.url, simulated.ca_file, topic))


def fcm(project: str) -> Callable[[Simulated], Sender]:
    return lambda simulated: FcmSender(fcm_settings(simulated.url, simulated.ca_file, project))


def another_vapid_key(simulated: Simulated) -> Sender:
    return WebPushSender(webpush_settings(simulated.url, simulated.ca_file, pem(ec_key())))


GUARD = "endpoints_gone: wrong topic, environment or project?"
MISTAKES = {
    "another app's topic": Mistake(KINDS[0], TokensOfOneTopic, apns(OTHER_TOPIC), GUARD, "endpoint_doubted"),
    "the wrong environment": Mistake(KINDS[0], SandboxTokens, apns(TOPIC), GUARD, "endpoint_doubted"),
    "a topic that the key may not use": Mistake(
        KINDS[0], apns_service, apns("dk.elsewhere"), "TopicDisallowed", "TopicDisallowed"
    ),
    "another project": Mistake(KINDS[1], TokensOfOneProject, fcm(OTHER_PROJECT), GUARD, "endpoint_doubted"),
    "a project that does not exist": Mistake(KINDS[1], fcm_service, fcm("klokke-nowhere"), "NOT_FOUND", "NOT_FOUND"),
    "another VAPID key": Mistake(
        KINDS[2], webpush_service, another_vapid_key, "vapid_refused", "vapid_refused", sends=2
    ),  # the second time with a new token
}


def device(kind: Kind, address: bytes) -> Device:
    if kind.name == "webpush":
        return device_of(address)
    platform = Platform.IOS if kind.lane == APNS else Platform.ANDROID
    return Device(platform=platform, app="parent", token=address.decode())


def families(kind: Kind, size: int, url: str = "", groups: int = 1) -> Iterable[Person]:
    """Pupils with a guardian each, who has one phone or browser."""
    for at, address in enumerate(kind.addresses(url, size)):
        yield Person(id=f"g{at}", tenant="0101", devices=(device(kind, address),))
        yield pupil(f"p{at}", f"g{at}", groups=("3b",) if at % groups == 0 else ("choir",))


async def phones(world: World, lane: str, size: int) -> list[bytes]:
    """The addresses that the directory holds."""
    numbers = [await world.number(f"g{at}") for at in range(size)]
    roster: dict[int, int] = {}
    for number in numbers:
        roster[number >> 8] = roster.get(number >> 8, 0) | 1 << (number & 255)
    return sorted(endpoint.address for endpoint in await world.directory.endpoints(lane, 0, roster))


async def parked(world: World, lane: str) -> str:
    with trio.fail_after(10):
        while lane not in (found := await world.lanes.parked()):
            await world.work.wait_for_work(0.02)
    return found[lane]


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
async def test_a_wrong_configuration_parks_the_lane_deletes_nothing_and_after_the_fix_each_is_sent_once(
    link: Link, tmp_path: Path, mistake: Mistake
) -> None:
    kind = Kind(**{**vars(mistake.kind), "service": mistake.service})
    async with kind.simulated(tmp_path) as simulated:
        lane, addresses = kind.lane, sorted(kind.addresses(simulated.url, SIZE))
        rules = DeviceRules([PushService(lane, simulated.url)])
        world = World(link, StoreDirectory(link, rules), lanes=(*LANES, lane) if lane not in LANES else LANES)
        await world.people(families(kind, SIZE, simulated.url))
        message = await world.plan()
        world.senders[lane] = mistake.wrong(simulated)  # type: ignore[assignment]
        async with world.dispatching():
            assert await parked(world, lane) == mistake.why
            await world.until(message, lambda report: report.channels[Channel.INAPP].live == 0)
            # The answers of the whole slice are settled: everybody waits.
            await world.until(message, lambda report: report.channels[Channel.PUSH].live == SIZE)
            later = await world.plan()  # what comes now waits too
            await world.until(later, lambda report: report.channels[Channel.INAPP].live == 0)
        push = await world.counts(message)
        assert (push.live, push.ends, push.retries) == (SIZE, {}, 0)
        assert world.heard.counts[f"postponed {mistake.reason}"] == SIZE
        assert await phones(world, lane, SIZE) == addresses
        refused = Counter(row["address"] for row in simulated.rows())
        # As often as it takes to know, and nothing after the lane was parked.
        assert refused == {ledger_name(address): mistake.sends for address in addresses}

        # The configuration is corrected and the engine started again. It stays parked until an operator says so.
        if isinstance(simulated.service, SandboxTokens):
            simulated.service.is_right = True
        world.senders[lane] = kind.sender(simulated.url, simulated.ca_file)  # type: ignore[assignment]
        async with world.dispatching("w2"):
            assert await world.lanes.parked() == {lane: mistake.why}
            await world.lanes.resume(lane)
            for event in (message, later):
                report = await world.closed(event)
                assert report.channels[Channel.PUSH].ends == {End.ACCEPTED: SIZE}
        accepted = Counter((row["address"], row["event"]) for row in simulated.rows() if row["status"] == kind.accepted)
        assert set(accepted.values()) == {1}
        assert len(accepted) == 2 * SIZE
        assert await phones(world, lane, SIZE) == addresses
        assert world.heard.counts["postponed permits"] == 0


async def test_small_messages_in_flight_when_the_lane_is_parked_delete_nothing_either(world: World) -> None:
    """Twenty events of six people, all out when another process parks the lane: none of their answers is believed."""
    gone = Rejected(reason="BadDeviceToken", endpoint_gone=True)
    size, events = 6, 20
    kind = KINDS[0]
    await world.people(families(kind, size * events))

    def answer(batch: Batch, endpoint: Endpoint) -> Outcome:
        return gone

    sender = world.senders[APNS]
    sender.answer = answer
    sender.close()
    plans = []
    for at in range(events):
        ids = tuple(f"g{number}" for number in range(at * size, (at + 1) * size))
        plans.append(await world.plan(Audience(include=(Term(people=ids),))))
    async with world.dispatching():
        await world.handed(APNS, size * events)
        await world.lanes.park(APNS, "another process saw it", world.now_ms)
        sender.is_open.set()
        for event in plans:
            await world.until(event, lambda report: report.channels[Channel.PUSH].live == size)
        assert len(await phones(world, APNS, size * events)) == size * events
        sender.answer = lambda batch, endpoint: ACCEPTED
        await world.lanes.resume(APNS)
        for event in plans:
            assert (await world.closed(event)).channels[Channel.PUSH].ends == {End.ACCEPTED: size}


async def test_a_wrong_topic_costs_a_handful_of_devices_at_most_even_when_all_messages_are_small(world: World) -> None:
    """Class messages one after the other, answered one by one, with no window of earlier answers."""
    gone = Rejected(reason="DeviceTokenNotForTopic", endpoint_gone=True)
    size, events = 6, 20
    await world.people(families(KINDS[0], size * events))
    world.senders[APNS].answer = lambda batch, endpoint: gone
    async with world.dispatching():
        for at in range(events):
            ids = tuple(f"g{number}" for number in range(at * size, (at + 1) * size))
            event = await world.plan(Audience(include=(Term(people=ids, role=Role.GUARDIAN),)))
            await world.until(event, lambda report: report.channels[Channel.INAPP].live == 0)
        assert await parked(world, APNS) == GUARD
    assert len(await phones(world, APNS, size * events)) >= size * events - 18
    assert FCM not in await world.lanes.parked()
