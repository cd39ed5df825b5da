"""Names of children and badges, from the directory and the inbox to what each sender is handed."""

from __future__ import annotations

import msgspec
import pytest

from engine.outcomes import ACCEPTED, Outcome, Unreachable
from engine.personal import PersonalReader
from engine.ports import Directory
from engine.records.event import Audience, Content, Event, Term, Text
from engine.records.person import Device, Person, Profile
from engine.records.roster import roster_of
from engine.records.words import Channel, End, Language, Platform, Role
from engine.records.work import Batch, Endpoint, Personal
from engine.rules.audience import scope_of
from queueing.directory import StoreDirectory
from queueing.inbox.store import StoreInbox
from queueing.link import Link
from tests.journeys.engine_world import APNS, EMAIL, FCM, INAPP, ScriptedSender, World, guardian, pupil
from tests.journeys.paper_directory import PaperDirectory

NAMED = Content(
    texts={
        Language.DA: Text("{children} har fri", "Hent {children} kl. 12"),
        Language.EN: Text("{children} is free", "Pick up {children} at 12"),
    }
)
ABOUT_3B = Audience(include=(Term(group="3b"),))


class Reading(ScriptedSender):
    """Writes down what is personal to each that it is handed."""

    def __init__(self) -> None:
        super().__init__()
        self.told: dict[int, Personal | None] = {}
        self.batches = 0

    async def send(self, batch: Batch) -> list[Outcome]:
        self.batches += 1
        for at, endpoint in enumerate(batch.endpoints):
            self.told[endpoint.number] = None if batch.personal is None else batch.personal[at]
        return await super().send(batch)


class Town(World):
    """A world whose senders write down what is personal; `badges` switches them on for Apple's lane."""

    def __init__(self, link: Link, directory: Directory) -> None:
        super().__init__(link, directory)
        self.reading = {lane: Reading() for lane in self.senders}
        self.senders = dict(self.reading)
        self.inbox = StoreInbox(link)

    async def told(self, lane: str) -> dict[str, Personal | None]:
        """By the ids that these tests use, what each was handed on a lane."""
        numbers = await self.directory.numbers(["mor", "far", "dad", "lone", "laerer", "anna", "bo"])
        by_number = {number: id for id, number in numbers.items()}
        return {by_number[number]: told for number, told in self.reading[lane].told.items()}


@pytest.fixture(params=["paper", "store"])
def town(request: pytest.FixtureRequest, link: Link) -> Town:
    return Town(link, PaperDirectory() if request.param == "paper" else StoreDirectory(link))


def child(id: str, name: str | None, *guardians: str, groups: tuple[str, ...] = ("3b",)) -> Person:
    return msgspec.structs.replace(pupil(id, *guardians, groups=groups), name=name)


async def families(town: Town) -> None:
    """Anna and Bo are in 3b; Carla, their sister, sings in the choir; Lone's child has no name in the directory."""
    android = Device(platform=Platform.ANDROID, app="parent", token="droid-token")
    await town.people(
        [
            guardian("mor", "mor-mor-mor", email="mor@example.org"),
            Person(id="far", tenant="0101", devices=(android,)),
            guardian("dad", "dad-dad-dad", language=Language.EN),
            guardian("lone", "lone-lone-lone"),
            Person(
                id="laerer", tenant="0101", email="laerer@example.org",
                profiles=(Profile(institution="s1", role=Role.STAFF, groups=("3b",)),),
            ),
            child("anna", "Anna", "mor", "far", "dad"),
            child("bo", "Bo", "mor"),
            child("carla", "Carla", "mor", groups=("choir",)),
            child("unnamed", None, "lone"),
        ]
    )  # fmt: skip


async def test_every_guardian_reads_their_own_childrens_names_on_every_channel(town: Town) -> None:
    await families(town)
    message = await town.plan(ABOUT_3B, content=NAMED)
    async with town.dispatching():
        await town.closed(message)

    assert await town.told(APNS) == {
        "mor": Personal(None, "Anna og Bo"),
        "dad": Personal(None, "Anna"),
        "lone": Personal(None, "dit barn"),
    }
    assert await town.told(FCM) == {"far": Personal(None, "Anna")}
    assert await town.told(EMAIL) == {"mor": Personal(None, "Anna og Bo"), "laerer": Personal(None, "børnene")}
    assert set(town.reading[INAPP].told.values()) == {None}  # items are worded when they are read


async def test_english_readers_get_english_words(town: Town) -> None:
    await families(town)
    await town.directory.change("bo", lambda bo: msgspec.structs.replace(bo, guardians=("mor", "dad")), town.now_ms)
    message = await town.plan(ABOUT_3B, content=NAMED)
    async with town.dispatching():
        await town.closed(message)
    assert (await town.told(APNS))["dad"] == Personal(None, "Anna and Bo")


async def test_an_event_without_a_placeholder_reads_nothing_and_hands_over_nothing_personal(town: Town) -> None:
    await families(town)
    reader = PersonalReader(town.directory)
    message = await town.plan(ABOUT_3B)
    assert not any(reader.is_needed(message, lane) for lane in town.senders)
    async with town.dispatching():
        await town.closed(message)
    assert set((await town.told(APNS)).values()) == {None}


async def test_a_sensitive_event_is_handed_no_names(town: Town) -> None:
    await families(town)
    message = await town.plan(ABOUT_3B, content=NAMED, sensitive=True)
    async with town.dispatching():
        await town.closed(message)
    for lane in (APNS, FCM, EMAIL):
        assert set(town.reading[lane].told.values()) == {None}


async def test_custody_that_ends_between_two_attempts_takes_the_name_away(town: Town) -> None:
    await families(town)
    attempts: list[int] = []

    def answer(batch: Batch, endpoint: Endpoint) -> Outcome:
        attempts.append(endpoint.number)
        return Unreachable(reason="503") if len(attempts) <= 3 else ACCEPTED

    town.reading[APNS].answer = answer
    async with town.dispatching():
        message = await town.plan(ABOUT_3B, content=NAMED)
        await town.until(message, lambda report: report.channels[Channel.PUSH].retries >= 3)
        assert (await town.told(APNS))["mor"] == Personal(None, "Anna og Bo")
        await town.directory.change("anna", lambda anna: msgspec.structs.replace(anna, guardians=("far",)), town.now_ms)
        await town.closed(message, step_seconds=31)
    told = await town.told(APNS)
    assert told["mor"] == Personal(None, "Bo")
    report = await town.report(message)
    assert report.channels[Channel.PUSH].ends[End.SUPPRESSED] == 1  # `dad` is no guardian in 3b any more


async def test_a_name_that_the_directory_learns_meanwhile_is_the_one_that_is_read(town: Town) -> None:
    await families(town)
    message = await town.plan(ABOUT_3B, content=NAMED)
    await town.directory.change("anna", lambda anna: msgspec.structs.replace(anna, name="Ånna"), town.now_ms)
    async with town.dispatching():
        await town.closed(message)
    assert (await town.told(FCM))["far"] == Personal(None, "Ånna")


async def test_the_badge_is_the_unread_count_with_the_present_event_in_it(link: Link) -> None:
    town = Town(link, StoreDirectory(link))
    await families(town)
    mor, dad = await town.number("mor"), await town.number("dad")
    for earlier in (101, 102, 103):
        await town.inbox.deliver(earlier, roster_of((mor,)), broadcast=False)
    reader = PersonalReader(town.directory, town.inbox, {APNS})

    async def badges(message: Event) -> dict[int, Personal | None]:
        town.reading[APNS].told.clear()
        async with town.dispatching(personal=reader):
            await town.closed(message)
        return town.reading[APNS].told

    first = await town.plan(ABOUT_3B)
    lone = await town.number("lone")
    assert await badges(first) == {mor: Personal(4, ""), dad: Personal(1, ""), lone: Personal(1, "")}
    assert set((await town.told(FCM)).values()) == {None}  # that lane has no badges
    await town.inbox.deliver(first.number, roster_of((mor, dad)), broadcast=False)
    second = await town.plan(ABOUT_3B, content=NAMED)
    assert await badges(second) == {
        mor: Personal(5, "Anna og Bo"),
        dad: Personal(2, "Anna"),
        lone: Personal(1, "dit barn"),  # the first was never written into Lone's inbox here
    }


def test_scopes_of_terms_are_spelled_as_rosters_are() -> None:
    assert [scope_of(term) for term in (Term(group="3b"), Term(everyone=True), Term(people=("x",)))] == [
        "group/3b", "everyone", None,
    ]  # fmt: skip
