"""What the API does when all is well: directory, asking, cancelling, imports, tickets, batches, limits of the desk."""

from __future__ import annotations

import msgspec
import pytest
import trio

from engine.intake.desk import GROUP_EVENTS_MAX, Desk
from engine.intake.limits import EVENTS_WAITING_MAX, Share, is_shed
from engine.records.event import Admission, Event, event_number
from engine.records.roster import Roster
from engine.records.words import Category, Channel, Reason, Stop, Urgency
from engine.records.work import PartPlan, Suppressed
from tests.intake.conftest import NOW_MS, Town, calendar, codes, message, post, post_batch, problem
from tests.intake.test_calendar import ICS


async def test_a_batch_is_admitted_in_order_and_repeated_alike(api: Town) -> None:
    batch = [message(f"b-{at}") for at in range(120)] + [calendar("b-c")]
    async with api.client() as client:
        first = await post_batch(client, batch)
        again = await post_batch(client, batch)
        results = first.json()["results"]
        assert first.status_code == 202
        assert len({result["id"] for result in results}) == 121
        assert (await client.get(results[77]["status_url"])).json()["event_id"] == "b-77"
    assert again.content == first.content
    assert (first.headers.get("idempotent-replayed"), again.headers["idempotent-replayed"]) == (None, "true")


async def test_one_event_twice_in_a_batch_is_one_event(api: Town) -> None:
    async with api.client() as client:
        results = (await post_batch(client, [message(), message()])).json()["results"]
    assert results[0] == results[1]


async def test_an_icalendar_invitation_is_admitted(api: Town) -> None:
    raw = calendar()
    del raw["data"]["calendar"]
    raw["data"]["icalendar"] = ICS
    async with api.client() as client:
        number = event_number((await post(client, raw)).json()["id"])
    assert number is not None
    event, _ = (await api.work.events([number]))[number]
    assert event.entity == "0101/calendar/meeting-1@skole/"
    assert event.content.calendar is not None
    assert event.content.calendar.recurrence_rule == "FREQ=WEEKLY;COUNT=4"


async def test_a_group_of_another_tenant_looks_like_none_unless_the_key_has_all(api: Town) -> None:
    for term in ({"group": "3b-0147"}, {"group": "none"}, {"institution": "school-0147"}, {"institution": "none"}):
        audience = {"include": [{"group": "3b-0101"}], "exclude": [term]}
        async with api.client() as client:
            document = problem(await post(client, message(audience=audience)), 422, "invalid")
        name = next(iter(term))
        assert codes(document) == {f"/data/audience/exclude/0/{name}": f"unknown-{name}"}
    async with api.client("all") as client:
        raw = {**message(audience={"include": [{"group": "3b-0147"}]}), "tenant": "0101"}
        assert (await post(client, raw)).status_code == 202


async def test_the_report_says_where_an_event_stands(api: Town) -> None:
    async with api.client() as client:
        url = (await post(client, message())).json()["status_url"]
        report = (await client.get(url)).json()
        assert (report["state"], report["audience"], report["balanced"], report["stop"]) == ("admitted", 0, True, None)
        assert report["admitted"] == "2026-11-18T11:06:40.000Z"
        event = await plan(api, url)
        report = (await client.get(url)).json()
        assert (report["state"], report["audience"], report["balanced"]) == ("closed", 2, True)
        assert report["channels"]["push"] == {
            "people": 0, "suppressed": {"no_endpoint": 2}, "planned": 0, "ends": {}, "rejected_reasons": {},
            "retries": 0, "unknown": 0, "live": 0, "held": 0,
        }  # fmt: skip
        story = (await client.get(f"{url}/recipients/parent-0101")).json()
        assert [(step["channel"], step["state"], step["reason"]) for step in story["steps"]] == [
            ("push", "suppressed", "no_endpoint")
        ]
        problem(await client.get(f"{url}/recipients/child-0147"), 404, "not-found")
        problem(await client.get(f"{url}/recipients/nobody"), 404, "not-found")
    assert event.category is Category.MESSAGE


async def plan(api: Town, url: str) -> Event:
    """Plan the event as fan-out would: two people, both without a device."""
    number = event_number(url.rpartition("/")[2])
    assert number is not None
    event, _ = (await api.work.events([number]))[number]
    people: Roster = {0: 0b11}
    suppressed = Suppressed(channel=Channel.PUSH, reason=Reason.NO_ENDPOINT, people=people)
    await api.work.lease_unplanned(10, NOW_MS, 60_000)
    await api.work.freeze(event, people, [event.shard])
    await api.work.plan(
        PartPlan(
            event=event,
            shard=event.shard,
            audience=people,
            suppressed=(suppressed,),
            slices=(),
            planned_people={Channel.PUSH: 0},
        )
    )
    await api.work.finish_planning(event, NOW_MS)
    return event


async def test_cancelling_stops_withdraws_and_may_be_repeated(api: Town) -> None:
    async with api.client() as client:
        url = (await post(client, message())).json()["status_url"]
        first, again = await client.delete(url), await client.delete(url)
        assert (first.status_code, first.content) == (202, again.content)
        assert first.json()["stopped"] is True
        assert (await client.get(url)).json()["stop"] == "cancelled"
        assert api.withdrawn == [event_number(first.json()["id"])] * 2
        problem(await client.delete("/v1/events/e0000000000000"), 404, "not-found")
        problem(await client.delete("/v1/events/42"), 404, "not-found")


async def test_cancelling_what_was_over_says_so_every_time(api: Town) -> None:
    async with api.client() as client:
        url = (await post(client, message())).json()["status_url"]
        await plan(api, url)
        first, again = await client.delete(url), await client.delete(url)
    assert (first.status_code, first.content) == (202, again.content)
    assert first.json()["stopped"] is False
    assert "had gone out before" in first.json()["detail"]


async def test_cancelling_what_had_ended_says_so_and_still_withdraws(api: Town) -> None:
    async with api.client() as client:
        url = (await post(client, message())).json()["status_url"]
        number = event_number(url.rpartition("/")[2])
        assert number is not None
        await api.work.stop(number, Stop.EXPIRED, NOW_MS)
        answer = await client.delete(url)
    assert (answer.status_code, answer.json()["stopped"]) == (202, False)
    assert "expired" in answer.json()["detail"]
    assert api.withdrawn == [number]


async def test_a_school_is_built_by_single_changes(api: Town) -> None:
    async with api.client() as client:
        calls = [
            await client.put("/v1/institutions/s-2", json={"tenant": "0101", "name": "Ny skole", "sort": "daycare"}),
            await client.put("/v1/groups/red", json={"institution": "s-2", "name": "Rød stue"}),
            await client.put("/v1/people/mum", json={"tenant": "0101", "language": "en"}),
            await client.put("/v1/people/kid", json={"kind": "person", "id": "kid", "tenant": "0101"}),
            await client.put("/v1/people/kid/guardians", json={"guardians": ["mum"]}),
            await client.put(
                "/v1/people/kid/profiles",
                json={"profiles": [{"institution": "s-2", "role": "pupil", "groups": ["red"]}]},
            ),
            await client.put("/v1/people/mum/email", json={"email": "mum@example.org"}),
            await client.put("/v1/people/mum/preferences", json={"off": {"email": ["post"]}}),
            await client.post(
                "/v1/people/mum/devices", json={"platform": "ios", "app": "parent", "token": "token-0123456789"}
            ),
            await client.put("/v1/municipalities/0101/strategies/post", json={"channels": ["inapp"]}),
        ]
        assert [call.status_code for call in calls] == [204] * len(calls)
        mum = (await client.get("/v1/people/mum")).json()
        assert mum == {
            "kind": "person", "id": "mum", "tenant": "0101", "language": "en", "email": "mum@example.org",
            "devices": [{"platform": "ios", "app": "parent", "token": "token-0123456789"}], "off": {"email": ["post"]},
        }  # fmt: skip
        gone = await client.post("/v1/people/mum/devices/remove", json={"token": "token-0123456789"})
        assert gone.status_code == 204
        assert (await client.delete("/v1/people/kid")).status_code == 204
        problem(await client.get("/v1/people/kid"), 404, "not-found")
    mother = await api.directory.person("mum")
    assert mother is not None
    assert mother.devices == ()


async def test_a_person_cannot_be_attached_to_another_tenants_class(api: Town) -> None:
    profiles = [
        {"institution": "school-0101", "role": "pupil", "groups": ["3b-0147"]},
        {"institution": "school-0147", "role": "staff"},
    ]
    async with api.client() as client:
        for response in (
            await client.put("/v1/people/spy", json={"tenant": "0101", "profiles": profiles}),
            await client.put("/v1/people/child-0101/profiles", json={"profiles": profiles}),
        ):
            assert codes(problem(response, 422, "invalid")) == {
                "/profiles/0/groups/0": "unknown-group",
                "/profiles/1/institution": "unknown-institution",
            }


async def test_faults_of_a_person_are_listed(api: Town) -> None:
    async with api.client() as client:
        response = await client.put("/v1/people/a", json={"id": "b", "tenant": "0147"})
        assert codes(problem(response, 422, "invalid")) == {"/id": "differs-from-path", "/tenant": "other-tenant"}
        response = await client.put("/v1/people/a", json={"tenant": "x", "email": "no", "devices": [{}]})
        assert set(codes(problem(response, 422, "invalid"))) == {
            "/tenant", "/email", "/devices/0/platform", "/devices/0/app",
        }  # fmt: skip
        phone = {"platform": "ios", "app": "parent"}
        response = await client.put("/v1/people/a", json={"tenant": "0101", "devices": [phone]})
        assert codes(problem(response, 422, "invalid")) == {"/devices/0/token": "refused"}
        response = await client.put("/v1/people/child-0101/guardians", json={"guardians": ["parent-0101", "ghost"]})
        assert codes(problem(response, 422, "invalid")) == {"/guardians/1": "unknown-person"}
        problem(await client.put("/v1/people/a%00b", json={"tenant": "0101"}), 404, "not-found")
        problem(await client.put("/v1/people/" + "a" * 65, json={"tenant": "0101"}), 404, "not-found")


async def test_an_import_takes_what_it_can_and_says_where_to_go_on(api: Town) -> None:
    lines = [{"kind": "person", "id": "i-1", "tenant": "0101"}, {"kind": "nonsense"}]
    body = b"\n".join(msgspec.json.encode(line) for line in lines)
    headers = {"content-type": "application/x-ndjson"}
    url = "/v1/directory/imports/autumn"
    async with api.client("all") as client:
        assert (await client.get(url)).json() == {"next_line": 1}
        gap = (await client.post(f"{url}?first_line=7", content=body, headers=headers)).json()
        assert gap == {"taken": 0, "refused": [], "next_line": 1}
        answer = (await client.post(url, content=body, headers=headers)).json()
        assert (answer["taken"], answer["next_line"]) == (1, 3)
        assert [line["line"] for line in answer["refused"]] == [2]
        assert (await client.get(url)).json() == {"next_line": 3}


async def test_a_faulty_import_request_is_refused(api: Town) -> None:
    headers = {"content-type": "application/x-ndjson"}
    url = "/v1/directory/imports/autumn"
    async with api.client("all") as client:
        for query in ("first_line=0", "first_line=x", "first_line=1&first_line=2", "line=1", "first_line=" + "9" * 99):
            problem(await client.post(f"{url}?{query}", content=b"", headers=headers), 400, "malformed-request")
        problem(await client.post(url, content=b""), 415, "unsupported-media-type")
        too_much = b" " * (8 * 1024 * 1024 + 1)
        problem(await client.post(url, content=too_much, headers=headers), 413, "body-too-large")
    async with api.client() as client:
        problem(await client.post(url, content=b"", headers=headers), 403, "forbidden")


async def test_a_ticket_is_minted_for_a_person_of_the_tenant(api: Town) -> None:
    async with api.client() as client:
        answer = (await client.post("/v1/inbox-tickets", json={"person": "parent-0101"})).json()
        number = (await api.directory.numbers(["parent-0101"]))["parent-0101"]
        assert answer == {
            "ticket": f"ticket-{number}-0101-{NOW_MS + 3_600_000}",
            "expires": "2026-11-18T12:06:40.000Z",
        }


async def test_health_needs_no_key_and_readiness_ends_with_the_stop(api: Town) -> None:
    async with api.client() as client:
        del client.headers["authorization"]
        assert (await client.get("/healthz")).json() == (await client.get("/readyz")).json() == {"status": "ok"}
        assert (await client.head("/healthz")).content == b""
        api.app.stop_gently()
        problem(await client.get("/readyz"), 503, "stopping")
        assert (await client.get("/healthz")).status_code == 200


class SlowWork:
    """A ledger whose first write waits, and which counts its writes; the rest of the port is not used here."""

    def __init__(self) -> None:
        self.open = trio.Event()
        self.sizes: list[int] = []

    async def admit(self, events: list[Event], fingerprints: list[bytes]) -> list[Admission]:
        self.sizes.append(len(events))
        await self.open.wait()
        return [Admission(event.number, "new") for event in events]


async def test_requests_gather_while_a_group_is_on_its_way(town: Town) -> None:
    town.work = SlowWork()  # type: ignore[assignment]
    app = town.make()
    answers: list[int] = []

    async def send(at: int) -> None:
        async with town.client() as client:
            answers.append((await post(client, message(f"m-{at}"))).status_code)

    async with trio.open_nursery() as nursery:
        await nursery.start(app.run)
        async with trio.open_nursery() as senders:
            for at in range(50):
                senders.start_soon(send, at)
            await trio.testing.wait_all_tasks_blocked()
            assert answers == []
            town.work.open.set()  # type: ignore[attr-defined]
        nursery.cancel_scope.cancel()
    assert answers == [202] * 50
    sizes = town.work.sizes  # type: ignore[attr-defined]
    assert sum(sizes) == 50
    assert len(sizes) <= 4


async def test_the_tenant_of_a_group_is_asked_once_a_minute(api: Town) -> None:
    async with api.client() as client:
        for at in range(5):
            assert (await post(client, message(f"m-{at}"))).status_code == 202
    assert api.directory.asked == 1


async def test_a_frozen_store_gets_503_within_the_deadline(town: Town, autojump_clock: trio.testing.MockClock) -> None:
    town.work = SlowWork()  # type: ignore[assignment]
    async with trio.open_nursery() as nursery:
        await nursery.start(town.make().run)
        async with town.client() as client:
            audience = {
                "include": [{"municipality": "0101"}]
            }  # asks the directory nothing: no threads, so time may jump
            problem(await post(client, message(audience=audience)), 503, "store-unavailable")
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("urgency", "share"), [(Urgency.BULK, 0.5), (Urgency.NORMAL, 0.75), (Urgency.URGENT, 0.9), (Urgency.EMERGENCY, 1)]
)
def test_the_least_urgent_are_turned_away_first(urgency: Urgency, share: float) -> None:
    edge = int(EVENTS_WAITING_MAX * share)
    assert is_shed(urgency, edge)
    assert not is_shed(urgency, edge - 1)
    assert GROUP_EVENTS_MAX < EVENTS_WAITING_MAX


async def test_a_busy_desk_turns_bulk_away_with_503(api: Town) -> None:
    desk: Desk = api.app._desk
    desk.waiting = int(EVENTS_WAITING_MAX * 0.6)
    async with api.client() as client:
        response = await post(client, message(urgency="bulk"))
        problem(response, 503, "overloaded")
        assert 1 <= int(response.headers["retry-after"]) <= 5
        assert (await post(client, message())).status_code == 202


def test_a_share_is_refilled_by_time_and_pays_large_batches_off() -> None:
    share = Share(10, 0)
    assert [share.take(events, 0.0).wait_seconds for events in (15, 5, 1)] == [0, 0, 1]
    assert share.take(10, 1.0).refused_by is None
    assert share.take(100, 3.0) == (None, 0)  # a full bucket lets a batch of any size in
    assert share.take(1, 4.0).wait_seconds == 8
    assert share.take(1, 12.0).refused_by is None
