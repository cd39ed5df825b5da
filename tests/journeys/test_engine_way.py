"""The happy way: admitted, planned, sent, settled, and the ledger adds up."""

from __future__ import annotations

from engine.records.event import Audience, Content, Term, Text
from engine.records.person import Device, Person, Profile
from engine.records.words import Category, Channel, End, Language, Platform, Role, Urgency
from queueing.link import Link
from tests.journeys.engine_world import APNS, EMAIL, FCM, INAPP, World, guardian, pupil, school_class
from tests.journeys.paper_directory import PaperDirectory


async def test_a_class_message_reaches_every_device_once(world: World) -> None:
    two_phones = guardian("two", "two-a", "two-b")
    android = Person(
        id="droid", tenant="0101", devices=(Device(platform=Platform.ANDROID, app="parent", token="droid-token"),)
    )
    mail = Person(id="mail", tenant="0101", email="mail@example.org", off={Channel.INAPP: (Category.MESSAGE,)})
    off = guardian("off", "off-off-off", off={Channel.PUSH: (Category.MESSAGE,)})
    pupils = [pupil("p1", "two", "droid"), pupil("p2", "mail", "off")]
    await world.people([two_phones, android, mail, off, *pupils])
    async with world.running():
        report = await world.closed(await world.admit())

    assert report.audience == 4
    push, email, inapp = (report.channels[channel] for channel in (Channel.PUSH, Channel.EMAIL, Channel.INAPP))
    assert (push.people, push.planned, push.suppressed) == (2, 3, {"opted_out": 1, "no_endpoint": 1})
    assert (email.people, email.suppressed) == (1, {"no_endpoint": 3})
    assert (inapp.people, inapp.suppressed) == (3, {"opted_out": 1})
    assert push.ends == {End.ACCEPTED: 3}
    two, droid = await world.number("two"), await world.number("droid")
    assert world.senders[APNS].numbers == [two, two]
    assert sorted(one.slot for one in world.senders[APNS].handed) == [0, 1]
    assert world.senders[FCM].numbers == [droid]
    assert world.senders[EMAIL].numbers == [await world.number("mail")]
    assert len(world.senders[INAPP].handed) == 3
    assert world.heard.ends[Channel.PUSH, End.ACCEPTED, ""] == 3


async def test_each_reads_their_language(world: World) -> None:
    await world.people(
        [
            guardian("dane", "dane-dane"),
            guardian("brit", "brit-brit", language=Language.EN),
            pupil("p1", "dane", "brit"),
        ]
    )
    texts = {Language.DA: Text("Hej", "Hej"), Language.EN: Text("Hi", "Hi")}
    message = await world.plan(content=Content(texts=texts))
    async with world.dispatching():
        await world.closed(message)
    languages = {one.number: one.language for one in world.senders[APNS].handed}
    assert languages == {await world.number("dane"): Language.DA, await world.number("brit"): Language.EN}


async def test_an_excluded_group_gets_nothing(world: World) -> None:
    await world.people([guardian("in", "in-in-in-in"), guardian("out", "out-out-out"), pupil("p1", "in"),
                        pupil("p2", "out", groups=("3b", "choir"))])  # fmt: skip
    audience = Audience(include=(Term(group="3b", role=Role.GUARDIAN),), exclude=(Term(group="choir"),))
    message = await world.plan(audience)
    async with world.dispatching():
        report = await world.closed(message)
    assert report.audience == 1
    assert world.senders[APNS].numbers == [await world.number("in")]


async def test_an_event_for_nobody_closes(world: World) -> None:
    message = await world.plan(Audience(include=(Term(people=("unknown",)),)))
    assert (await world.closed(message)).audience == 0


async def test_an_urgent_message_does_not_wait_behind_bulk_in_flight(world: World) -> None:
    await world.people(school_class(3))
    world.senders[APNS].close()
    first = await world.plan(urgency=Urgency.BULK)
    async with world.dispatching(people_max=3):
        await world.handed(APNS, 3)
        urgent = await world.plan(urgency=Urgency.URGENT)
        await world.handed(APNS, 6)
        assert {one.event for one in world.senders[APNS].handed[3:]} == {urgent.number}
        world.senders[APNS].is_open.set()
        await world.closed(first)
        await world.closed(urgent)


async def test_a_slice_of_which_nothing_changed_costs_no_read_of_planes(link: Link) -> None:
    directory = PaperDirectory()
    world = World(link, directory)
    await world.people(
        [Person(id="t", tenant="0101", profiles=(Profile(institution="s1", role=Role.STAFF, groups=("3b",)),))]
    )
    audience = Audience(include=(Term(group="3b"),))
    first = await world.plan(audience, urgency=Urgency.EMERGENCY)
    async with world.dispatching():
        await world.closed(first)
        second = await world.plan(audience, urgency=Urgency.EMERGENCY)
        before = directory.reads
        await world.closed(second)
        assert directory.reads == before + 1  # the journal alone
