"""Live streams over real sockets: who hears what, once; resuming; slow readers; lost hints."""

from __future__ import annotations

import httpx
import pytest
import trio

from channels.inapp.client import InappSender
from engine.outcomes import Accepted, Unreachable
from engine.records.event import Audience, Term, public_id
from engine.records.family import Family, Pupil
from engine.records.inbox import ItemState
from engine.records.roster import roster_of
from engine.records.words import INAPP_LANE, Language, Role
from engine.records.work import Batch, Endpoint
from queueing.inbox.store import StoreInbox
from queueing.link import Link
from tests.inbox.app import IDA, NOW_MS, OLE, TOM, LiveStream, house
from tests.mail.letters import event


async def titles(live: LiveStream, count: int) -> list[str]:
    found = []
    for _ in range(count):
        frame = await live.next()
        assert frame is not None
        found.append(frame.data["title"])
    return found


@pytest.mark.parametrize("broadcast", [False, True])
async def test_a_delivery_reaches_all_open_streams_of_its_people_once(link: Link, broadcast: bool) -> None:
    async with (
        house(link, hears=True) as at,
        at.app(TOM).stream() as tom,
        at.app(TOM).stream() as tablet,
        at.app(IDA).stream() as ida,
    ):
        await at.until(lambda figures: figures.streams == figures.connections == 3)
        for people in ([TOM], [TOM, OLE], [TOM, IDA]):
            await at.inbox.deliver(at.events.add(7, "Til jer"), roster_of(people), broadcast)
        await at.inbox.deliver(at.events.add(8, "Slut"), roster_of([TOM, IDA]), False)
        heard = [await titles(live, 2) for live in (tom, tablet, ida)]

    assert heard == [["Til jer", "Slut"]] * 3


async def test_any_http_client_can_read_a_stream(link: Link) -> None:
    async with (
        house(link, hears=True) as at,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{at.port}", trust_env=False) as client,
    ):
        headers = {"authorization": f"Bearer {at.app(TOM).ticket}"}
        async with client.stream("GET", "/v1/inbox/stream", headers=headers) as stream:
            lines = stream.aiter_lines()
            assert await anext(lines) == "retry: 3000"
            await at.until(lambda figures: figures.streams == 1)
            await at.inbox.deliver(at.events.add(7, "Til dig"), roster_of([TOM]), False)
            async for line in lines:
                if line.startswith("data: "):
                    assert '"title":"Til dig"' in line
                    break
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert "transfer-encoding" not in stream.headers


async def test_a_frame_holds_the_item_and_its_place(link: Link) -> None:
    async with house(link, hears=True) as at, at.app(TOM, language="en").stream() as live:
        await at.until(lambda figures: figures.streams == figures.connections == 1)
        await at.inbox.deliver(at.events.add(7, "Fortroligt", sensitive=True), roster_of([TOM]), False)
        frame = await live.next()
        (item,) = await at.inbox.items(TOM)

    assert frame is not None
    assert frame.kind == "item"
    assert frame.id == f"{item.arrival_ms}-{public_id(7)}"
    assert (frame.data["title"], frame.data["state"]) == ("Fortroligt (en)", "new")


async def test_an_item_that_names_children_is_worded_for_each_reader_live_and_in_lists(link: Link) -> None:
    pupils = {name: Pupil(name, name, frozenset({"group/3b/pupil"})) for name in ("Anna", "Bo")}
    nobody = Pupil("", "", frozenset())
    async with (
        house(link, hears=True) as at,
        at.app(TOM).stream() as tom,
        at.app(IDA, language="en").stream() as ida,
        at.app(OLE).stream() as ole,
    ):
        at.families[TOM] = Family(nobody, (pupils["Anna"], pupils["Bo"]))
        at.families[IDA] = Family(nobody, (Pupil("x", "", frozenset({"group/3b/pupil"})),))
        await at.until(lambda figures: figures.streams == figures.connections == 3)
        audience = Audience(include=(Term(group="3b"),))
        named = at.events.add(7, "{children}", audience=audience)
        secret = at.events.add(8, "{children}", audience=audience, sensitive=True)
        for event in (named, secret, at.events.add(9, "{x}")):
            await at.inbox.deliver(event, roster_of([TOM, IDA, OLE]), event == secret)
        heard = [await titles(live, 3) for live in (tom, ida, ole)]
        listed = (await at.app(TOM).ask("GET", "/v1/inbox")).json["items"]
        async with at.app(TOM).stream(last_event_id=f"1-{public_id(1)}") as again:
            resumed = await titles(again, 3)
        reads = at.families.reads
        assert (await at.app(TOM).ask("GET", "/v1/inbox")).json["items"] == listed

    assert heard[0] == resumed == ["Anna og Bo", "Dine børn", "{x}"]
    assert heard[1] == ["Your child (en)", "Your child (en)", "{x} (en)"]
    assert heard[2] == ["Børnene", "Børnene", "{x}"]
    assert [(item["title"], item["body"]) for item in listed] == [
        ("{x}", "{x} æøå"), ("Dine børn", "Dine børn æøå"), ("Anna og Bo", "Anna og Bo æøå"),
    ]  # fmt: skip
    assert reads == at.families.reads <= 3  # remembered for half a minute


async def test_streams_that_missed_a_hint_are_repaired_with_their_own_names(link: Link) -> None:
    async with house(link, gap_check_seconds=0.02) as at, at.app(TOM).stream() as live:
        at.families[TOM] = Family(Pupil("", "", frozenset()), (Pupil("a", "Anna", frozenset({"everyone/pupil"})),))
        await at.until(lambda figures: figures.streams == figures.connections == 1)
        await at.inbox.deliver(at.events.add(7, "{children}"), roster_of([TOM]), False)
        assert await titles(live, 1) == ["Anna"]


async def test_one_read_and_one_encoding_serve_everybody(link: Link) -> None:
    async with house(link, hears=True) as at, at.app(TOM).stream() as tom, at.app(IDA).stream() as ida:
        await at.until(lambda figures: figures.streams == figures.connections == 2)
        at.events.add(9, "Ikke for nogen her")
        await at.inbox.deliver(9, roster_of([OLE]), False)
        await at.inbox.deliver(at.events.add(7, "Hej"), roster_of([TOM, IDA]), True)
        assert await titles(tom, 1) == await titles(ida, 1) == ["Hej"]

        assert at.events.reads == 1


async def test_last_event_id_resumes_right_behind_the_item(link: Link) -> None:
    async with house(link, hears=True) as at:
        for number in range(1, 6):
            await at.inbox.deliver(at.events.add(number, str(number)), roster_of([TOM]), broadcast=number % 2 == 0)
        await at.inbox.mark(TOM, [4], ItemState.READ)
        at.events.cancel(3)
        second = (await at.inbox.items(TOM))[3]
        async with at.app().stream(Last_Event_ID=f"{second.arrival_ms}-{public_id(2)}") as live:
            await at.inbox.deliver(at.events.add(6, "6"), roster_of([TOM]), False)
            frames = [await live.next() for _ in range(3)]

    assert [(frame.data["title"], frame.data["state"]) for frame in frames if frame] == [
        ("4", "read"),
        ("5", "new"),
        ("6", "new"),
    ]


async def test_nothing_is_lost_or_told_twice_while_streams_come_and_go(link: Link) -> None:
    """Deliveries run on while an app reconnects again and again with the last id that it saw."""
    count = 150
    async with house(link, hears=True, requests_burst=1_000) as at:
        heard: list[str] = []
        last = "0-e0000000000000"
        async with trio.open_nursery() as nursery:

            async def deliver() -> None:
                for number in range(1, count + 1):
                    people = roster_of([TOM, IDA])
                    await at.inbox.deliver(at.events.add(number, str(number)), people, broadcast=number % 3 == 0)

            nursery.start_soon(deliver)
            while len(heard) < count:
                async with at.app().stream(Last_Event_ID=last) as live:
                    for _ in range(min(7, count - len(heard))):
                        frame = await live.next()
                        assert frame is not None
                        heard.append(frame.data["title"])
                        last = frame.id

    assert heard == [str(number) for number in range(1, count + 1)]


async def test_what_arrives_while_a_stream_reads_up_is_not_lost(link: Link) -> None:
    async with house(link, hears=True) as at, at.app(IDA).stream() as ida:
        await at.inbox.deliver(at.events.add(1, "Før"), roster_of([TOM]), False)
        await at.inbox.deliver(at.events.add(9, "Nu"), roster_of([IDA]), False)
        assert await titles(ida, 1) == ["Nu"]  # so the hint before it has been followed, and read for nobody
        at.events.held = 1
        async with at.app(TOM).stream(Last_Event_ID="0-e0000000000000") as tom:
            await at.events.reached.wait()
            await at.inbox.deliver(at.events.add(2, "Imens"), roster_of([TOM, IDA]), False)
            assert await titles(ida, 1) == ["Imens"]  # so the hint has been followed for Tom too
            at.events.released.set()

            assert await titles(tom, 2) == ["Før", "Imens"]


async def test_a_withdrawn_event_is_taken_back_from_those_who_have_it(link: Link) -> None:
    async with house(link, hears=True) as at, at.app(TOM).stream() as tom, at.app(IDA).stream() as ida:
        await at.until(lambda figures: figures.streams == figures.connections == 2)
        await at.inbox.deliver(at.events.add(1, "Narrow"), roster_of([TOM]), False)
        await at.inbox.deliver(at.events.add(2, "Broadcast"), roster_of([TOM, OLE]), True)
        assert await titles(tom, 2) == ["Narrow", "Broadcast"]
        for number in (1, 2):
            at.events.cancel(number)
            await at.inbox.withdraw(number)
        await at.inbox.deliver(at.events.add(3, "Efter"), roster_of([TOM, IDA]), False)
        toms = [await tom.next() for _ in range(3)]
        idas = await ida.next()

    assert [(frame.kind, frame.data["event"]) for frame in toms if frame] == [
        ("withdrawn", public_id(1)),
        ("withdrawn", public_id(2)),
        ("item", public_id(3)),
    ]
    assert idas is not None
    assert idas.data["event"] == public_id(3)


async def test_a_lost_hint_is_made_good_by_the_stores_clock(link: Link) -> None:
    async with house(link, gap_check_seconds=0.05) as at, at.app().stream() as live:  # this gateway is deaf
        await at.until(lambda figures: figures.streams == figures.connections == 1)
        await at.inbox.deliver(at.events.add(1, "Alligevel"), roster_of([TOM]), False)

        assert await titles(live, 1) == ["Alligevel"]
        assert at.gateway.figures.gaps_repaired >= 1


async def test_a_reader_who_does_not_read_is_dropped_and_resumes_later(link: Link) -> None:
    async with house(link, hears=True, backlog_bytes_max=10_000) as at:
        async with at.app(TOM).stream() as asleep, at.app(IDA).stream() as awake:
            await at.until(lambda figures: figures.streams == figures.connections == 2)
            number = 0
            while at.gateway.figures.streams_dropped_slow == 0:
                number += 1
                at.events.add(number, f"{number} " + "x" * 20_000)
                await at.inbox.deliver(number, roster_of([TOM, IDA]), False)
                assert await awake.next() is not None
            seen = []
            while (frame := await asleep.next()) is not None:
                seen.append(frame)
        async with at.app(TOM).stream(Last_Event_ID=seen[-1].id) as again:
            rest = [await again.next() for _ in range(number - len(seen))]

    events = [frame.data["event"] for frame in [*seen, *rest] if frame]
    assert events == [public_id(each) for each in range(1, number + 1)]


async def test_a_stream_ends_when_its_ticket_does(link: Link) -> None:
    clock = [NOW_MS]
    async with house(link, clock=clock, heartbeat_seconds=1) as at, at.app().stream() as live:
        clock[0] += 3_600_000

        assert await live.next() is None
        await at.until(lambda figures: figures.connections == 0)


async def test_heartbeats_find_streams_whose_app_is_gone(link: Link) -> None:
    async with house(link, heartbeat_seconds=1) as at:
        async with at.app().stream():
            await at.until(lambda figures: figures.streams == figures.connections == 1)
        await at.until(lambda figures: figures.streams == 0)


async def test_one_stream_too_many_ends_the_persons_oldest(link: Link) -> None:
    async with house(link, streams_per_person_max=2) as at:
        app = at.app()
        async with app.stream() as oldest, app.stream(), at.app(IDA).stream():
            await at.until(lambda figures: figures.streams == figures.connections == 3)
            async with app.stream():
                assert await oldest.next() is None
                assert at.gateway.figures.streams == 3


# --- the sender ----------------------------------------------------------------------------------------------------


CLASS = Audience(include=(Term(group="3b", role=Role.GUARDIAN),))
EVERYONE = Audience(include=(Term(everyone=True),))


def batch(at_number: int, people: list[int], *, broadcast: bool = False) -> Batch:
    return Batch(
        event=event(number=at_number, audience=EVERYONE if broadcast else CLASS),
        lane=INAPP_LANE,
        slot=0,
        language=Language.DA,
        endpoints=[Endpoint(number, 1, b"") for number in people],
        deadline_seconds=5.0,
    )


@pytest.mark.parametrize("broadcast", [False, True])
async def test_the_sender_writes_a_slice_and_writing_it_again_changes_nothing(link: Link, broadcast: bool) -> None:
    inbox = StoreInbox(link)
    sender = InappSender(inbox)
    slice_ = batch(5, [OLE, TOM, IDA], broadcast=broadcast)

    assert [await sender.send(slice_), await sender.send(slice_)] == [[Accepted()] * 3] * 2
    assert [len(await inbox.items(number)) for number in (OLE, TOM, IDA, 1)] == [1, 1, 1, 0]


async def test_without_a_store_the_slice_was_surely_not_written() -> None:
    sender = InappSender(StoreInbox(Link("unix:///nowhere/store.sock")))

    assert list(await sender.send(batch(5, [TOM, IDA]))) == [Unreachable(reason="store_unavailable")] * 2
