"""From `PushSubscription.toJSON()` over HTTP to the simulated push service's ledger, on the real store."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import trio

from channels.simulator.ledger import text_digest
from channels.simulator.starting import Running, start
from channels.webpush.client import WebPushSender, WebPushSettings
from engine.records.event import Content, Text
from engine.records.words import Channel, End, Language
from engine.rules.devices import DeviceRules, PushService
from queueing.directory import StoreDirectory
from queueing.link import Link
from tests.intake.conftest import Town
from tests.journeys.engine_world import EMAIL, INAPP, World, guardian, pupil
from tests.webpush.browsers import application_key, vapid_pem

LANE = "webpush.test"


@asynccontextmanager
async def sending(push: Running, link: Link) -> AsyncIterator[tuple[World, httpx.AsyncClient]]:
    """An engine with a lane to the simulated push service, and a client of its intake."""
    origin = push.url
    rules = DeviceRules([PushService(LANE, origin)])
    world = World(link, StoreDirectory(link, rules), lanes=(LANE, EMAIL, INAPP))
    sender = WebPushSender(
        WebPushSettings(
            origin=origin,
            private_key_pem=vapid_pem(),
            subject="mailto:operator@example.dk",
            ca_file=str(push.ca_file),
            allow_private=True,
        )
    )
    world.senders[LANE] = sender  # type: ignore[assignment]  # the real one among the scripted
    town = Town(link, rules)
    town.make()
    await world.people([guardian("a"), guardian("b"), pupil("p", "a", "b")])
    async with town.client() as client:
        yield world, client


async def subscribe(client: httpx.AsyncClient, push: Running, person: str, name: str) -> httpx.Response:
    context = ssl.create_default_context(cafile=str(push.ca_file))
    async with httpx.AsyncClient(verify=context) as browser:
        minted = (await browser.get(f"{push.url}/subscription/{name}")).json()
    device = {"platform": "web", "app": "parent", "subscription": minted}
    return await client.post(f"/v1/people/{person}/devices", json=device)


async def test_a_browser_that_registered_is_told_and_one_that_is_gone_is_retired(link: Link, tmp_path: Path) -> None:
    with start("webpush", tmp_path, vapid_key=application_key()) as push:
        async with sending(push, link) as (world, client):
            assert (await subscribe(client, push, "a", "0browser-of-a")).status_code == 204
            assert (await subscribe(client, push, "b", "dead-browser-of-b")).status_code == 204
            refused = await client.post(
                "/v1/people/a/devices",
                json={
                    "platform": "web",
                    "app": "parent",
                    "subscription": {
                        "endpoint": "https://fcm.googleapis.com/fcm/send/1",
                        "keys": {"p256dh": "B" + "A" * 86, "auth": "A" * 22},
                    },
                },
            )
            assert refused.status_code == 422
            async with world.running():
                texts = {Language.DA: Text("Tur i skoven", "Husk madpakke, æbler og støvler.")}
                report = await world.closed(await world.admit(content=Content(texts=texts)))
                assert report.channels[Channel.PUSH].ends == {End.ACCEPTED: 1, End.REJECTED: 1}
                gone = await world.directory.person("b")
                assert gone is not None
                assert gone.devices == ()
                again = await world.closed(await world.admit(content=Content(texts=texts), sensitive=True))
                assert again.channels[Channel.PUSH].ends == {End.ACCEPTED: 1}
                assert again.channels[Channel.PUSH].suppressed == {"no_endpoint": 1}
        rows = await trio.to_thread.run_sync(push.wait_for_rows, 3)
    text = text_digest("Tur i skoven", "Husk madpakke, æbler og støvler.").decode()
    told = {(row["address"], row["status"], row["text"]) for row in rows[:2]}
    assert told == {("0browser-of-a", "201", text), ("dead-browser-of-b", "410", text)}
    assert rows[2]["text"] == text_digest("", "Du har en ny besked. Log ind for at læse den.").decode()
    assert len({row["delivery"] for row in rows}) == 3


async def test_a_wrong_key_parks_the_lane_and_every_browser_stays(link: Link, tmp_path: Path) -> None:
    with start("webpush", tmp_path, vapid_key="B" + "A" * 86) as push:
        async with sending(push, link) as (world, client):
            for name in ("one", "two", "three", "four", "five", "six"):
                assert (await subscribe(client, push, "a", f"0browser-{name}")).status_code == 204
            message = await world.plan()
            async with world.dispatching():
                with trio.fail_after(10):
                    while LANE not in await world.lanes.parked():
                        await world.promote(60)
                        await world.work.wait_for_work(0.01)
            assert await world.lanes.parked() == {LANE: "vapid_refused"}
            kept = await world.directory.person("a")
            assert kept is not None
            assert len(kept.devices) == 6
            assert (await world.counts(message)).live > 0
