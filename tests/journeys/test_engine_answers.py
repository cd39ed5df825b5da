"""What answers lead to: retries, Retry-After, dead letters, expiry, retired endpoints, guards."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import msgspec
import pytest

from engine.outcomes import ACCEPTED, Outcome, Rejected, Throttled, Unknown, Unreachable
from engine.records.event import Event
from engine.records.person import Device
from engine.records.words import Channel, End, Platform, Reason, Stop
from engine.records.work import Batch, Endpoint
from engine.rules.retry import ATTEMPTS_MAX
from tests.journeys.engine_world import APNS, World, school_class
from tests.rules.people import HOUR_MS, NOON_MS

GONE = Rejected(reason="BadDeviceToken", endpoint_gone=True)


async def planned(world: World, size: int = 1, **changes: Any) -> Event:
    await world.people(school_class(size))
    return await world.plan(**changes)


async def live_slice(world: World, of: Event, retries: int) -> None:
    await world.until(of, lambda report: report.channels[Channel.PUSH].retries == retries)


async def test_a_retry_goes_only_to_those_who_were_not_accepted_and_carries_the_same_ids(world: World) -> None:
    def answer(batch: Batch, endpoint: Endpoint) -> Outcome:
        is_first = len(world.senders[APNS].handed) <= 4
        return Unreachable(reason="503") if is_first and endpoint.number % 4 == 0 else ACCEPTED

    world.senders[APNS].answer = answer
    message = await planned(world, 4)
    async with world.dispatching():
        await live_slice(world, message, 2)
        first = {one.number: one.delivery for one in world.senders[APNS].handed}
        await world.promote(20)
        report = await world.closed(message)
    again = world.senders[APNS].handed[4:]
    assert sorted(one.number for one in again) == [number for number in sorted(first) if number % 4 == 0]
    assert all(first[one.number] == one.delivery for one in again)
    assert report.channels[Channel.PUSH].ends == {End.ACCEPTED: 4}


async def test_six_failures_are_a_dead_letter(world: World) -> None:
    world.senders[APNS].answer = lambda batch, endpoint: Unknown(reason="timeout")
    message = await planned(world)
    async with world.dispatching():
        for attempt in range(1, ATTEMPTS_MAX):
            await live_slice(world, message, attempt)
            await world.promote(900)
        report = await world.closed(message)
    push = report.channels[Channel.PUSH]
    assert push.ends == {End.DEAD: 1}
    assert push.unknown == ATTEMPTS_MAX - 1
    assert len(world.senders[APNS].handed) == ATTEMPTS_MAX
    assert world.heard.ends[Channel.PUSH, End.DEAD, "timeout"] == 1


async def test_retry_after_slows_the_lane_and_burns_no_attempt(world: World) -> None:
    """Eight times in a row, more often than a delivery has attempts."""
    sent_at: list[int] = []

    def answer(batch: Batch, endpoint: Endpoint) -> Outcome:
        sent_at.append(world.now_ms)
        return Throttled(reason="429", lane_wide=True, retry_after_seconds=100) if len(sent_at) <= 8 else ACCEPTED

    world.senders[APNS].answer = answer
    message = await planned(world)
    async with world.dispatching():
        report = await world.closed(message, step_seconds=20)
    assert report.channels[Channel.PUSH].ends == {End.ACCEPTED: 1}
    assert report.channels[Channel.PUSH].retries == 0
    assert len(sent_at) == 9
    assert all(later - earlier >= 100_000 for earlier, later in pairwise(sent_at))


async def test_what_waits_on_a_parked_lane_expires(world: World) -> None:
    await world.lanes.park(APNS, "wrong key", world.now_ms)
    message = await planned(world, expires_ms=NOON_MS + HOUR_MS)
    async with world.dispatching():
        await world.until(message, lambda report: report.channels[Channel.INAPP].live == 0)
        world.now_ms += HOUR_MS
        assert await world.upkeep.expire() == 1
        await world.upkeep.sweep()
        report = await world.closed(message)
    assert report.stop is Stop.EXPIRED
    assert report.channels[Channel.PUSH].ends == {End.EXPIRED: 1}
    assert report.channels[Channel.INAPP].ends == {End.ACCEPTED: 1}
    assert not world.senders[APNS].handed


async def test_nothing_is_sent_after_expiry_even_before_the_sweep(world: World) -> None:
    message = await planned(world, expires_ms=NOON_MS + HOUR_MS)
    world.now_ms += HOUR_MS
    async with world.dispatching():
        report = await world.closed(message)
    assert report.channels[Channel.PUSH].ends == {End.EXPIRED: 1}
    assert not world.senders[APNS].handed


async def test_a_wrong_key_parks_the_lane_and_nothing_is_lost(world: World) -> None:
    world.senders[APNS].answer = lambda batch, endpoint: Unreachable(reason="InvalidProviderToken", park=True)
    message = await planned(world, 3)
    async with world.dispatching():
        await world.until(message, lambda report: report.channels[Channel.INAPP].live == 0)
        while not await world.lanes.parked():
            await world.work.wait_for_work(0.02)
        world.senders[APNS].answer = lambda batch, endpoint: ACCEPTED
        await world.lanes.resume(APNS)
        report = await world.closed(message)
    assert report.channels[Channel.PUSH].ends == {End.ACCEPTED: 3}
    assert report.channels[Channel.PUSH].retries == 0


async def test_an_endpoint_that_is_gone_is_retired_and_not_asked_again(world: World) -> None:
    world.senders[APNS].answer = lambda batch, endpoint: GONE
    message = await planned(world)
    async with world.dispatching():
        report = await world.closed(message)
        assert report.channels[Channel.PUSH].ends == {End.REJECTED: 1}
        assert report.channels[Channel.PUSH].rejected_reasons == {"BadDeviceToken": 1}
        second = await world.plan()
        assert (await world.closed(second)).channels[Channel.PUSH].suppressed == {Reason.NO_ENDPOINT: 1}


async def test_a_late_answer_leaves_the_successor_of_an_endpoint_alone(world: World) -> None:
    """While the answer is on its way, the phone registers a new token in the same slot."""
    world.senders[APNS].answer = lambda batch, endpoint: GONE
    world.senders[APNS].close()
    message = await planned(world)
    renewed = (Device(platform=Platform.IOS, app="parent", token="renewed-token"),)
    async with world.dispatching():
        await world.handed(APNS, 1)
        await world.directory.change("g0", lambda g0: msgspec.structs.replace(g0, devices=renewed), world.now_ms)
        world.senders[APNS].is_open.set()
        report = await world.closed(message)
    assert report.channels[Channel.PUSH].ends == {End.REJECTED: 1}
    number = await world.number("g0")
    (endpoint,) = await world.directory.endpoints(APNS, 0, {number >> 8: 1 << (number & 255)})
    assert endpoint.address == b"renewed-token"
    assert endpoint.generation == 2


async def test_a_wrong_topic_deletes_no_devices_and_loses_no_message(world: World) -> None:
    size = 60
    world.senders[APNS].answer = lambda batch, endpoint: GONE
    message = await planned(world, size)
    async with world.dispatching():
        await world.handed(APNS, size)
        await world.until(message, lambda report: report.channels[Channel.INAPP].live == 0)
        while not (parked := await world.lanes.parked()):
            await world.work.wait_for_work(0.02)
        assert "wrong topic, environment or project?" in parked[APNS]
        push = await world.counts(message)
        assert (push.live, push.ends) == (size, {})
        world.senders[APNS].answer = lambda batch, endpoint: ACCEPTED
        await world.lanes.resume(APNS)
        report = await world.closed(message)
    assert report.channels[Channel.PUSH].ends == {End.ACCEPTED: size}


async def test_an_outage_makes_no_dead_letters(world: World) -> None:
    """Far more rounds than a delivery has attempts, and all are accepted when the provider is back."""
    size = 40
    rounds = 3 * ATTEMPTS_MAX

    def answer(batch: Batch, endpoint: Endpoint) -> Outcome:
        is_down = len(world.senders[APNS].handed) < rounds * size
        return Unreachable(reason="refused") if is_down else ACCEPTED

    world.senders[APNS].answer = answer
    message = await planned(world, size)
    async with world.dispatching():
        report = await world.closed(message, step_seconds=20)
    push = report.channels[Channel.PUSH]
    assert push.ends == {End.ACCEPTED: size}
    assert push.retries == 0
    assert len(world.senders[APNS].handed) >= rounds * size


async def test_a_faulty_sender_loses_nothing_and_its_error_text_stays_out_of_the_log(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    def answer(batch: Batch, endpoint: Endpoint) -> Outcome:
        if len(world.senders[APNS].handed) > 2:
            return ACCEPTED
        raise RuntimeError("with the address token-0000 in its text")

    world.senders[APNS].answer = answer
    message = await planned(world, 2)
    async with world.dispatching():
        await live_slice(world, message, 2)
        await world.promote(30)
        report = await world.closed(message)
    assert report.channels[Channel.PUSH].ends == {End.ACCEPTED: 2}
    assert "RuntimeError" in caplog.text
    assert "token-" not in caplog.text
