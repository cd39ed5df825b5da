"""A small school, the real work store, and shells of the engine to run on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, NamedTuple

import trio

from engine.dispatch import Dispatcher, DispatchSettings, Duty
from engine.drain import Drain
from engine.fanout import FanOut
from engine.outcomes import ACCEPTED, Outcome
from engine.personal import PersonalReader
from engine.ports import Directory, Silent
from engine.records.event import Audience, Event, Term
from engine.records.person import Device, Group, Institution, Line, Person, Profile
from engine.records.words import Channel, End, Language, Platform, Role
from engine.records.work import Batch, Counts, Endpoint, EventReport, delivery_id
from engine.upkeep import Upkeep
from queueing.lanes import LaneLimit, StoreLanes
from queueing.link import Link
from queueing.work import StoreWork
from tests.rules.people import NOON_MS, event

APNS, FCM, EMAIL, INAPP = "apns.parent", "fcm.parent", "email", "inapp"
LANES = (APNS, FCM, EMAIL, INAPP)
GUARDIANS_OF_3B = Audience(include=(Term(group="3b", role=Role.GUARDIAN),))
LEASE_SECONDS = 30.0

Answer = Callable[[Batch, Endpoint], Outcome]


class Handed(NamedTuple):
    """One delivery that a sender was handed."""

    number: int
    delivery: bytes
    event: int
    lane: str
    slot: int
    language: Language
    address: bytes


class ScriptedSender:
    """The port `Sender`: writes down what it is handed, and answers as the test says, once the gate is open."""

    def __init__(self, answer: Answer | None = None) -> None:
        self.answer: Answer = answer or (lambda batch, endpoint: ACCEPTED)
        self.handed: list[Handed] = []
        self.is_open = trio.Event()
        self.is_open.set()

    def close(self) -> None:
        """Let nothing be answered until `is_open.set()`."""
        self.is_open = trio.Event()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        task_status.started()
        await trio.sleep_forever()

    async def send(self, batch: Batch) -> list[Outcome]:
        for one in batch.endpoints:
            delivery = delivery_id(batch.event.number, one.number, batch.lane, batch.slot, one.generation)
            self.handed.append(
                Handed(one.number, delivery, batch.event.number, batch.lane, batch.slot, batch.language, one.address)
            )
        await self.is_open.wait()
        return [self.answer(batch, endpoint) for endpoint in batch.endpoints]

    @property
    def numbers(self) -> list[int]:
        return sorted(one.number for one in self.handed)


class Heard(Silent):
    """An observer that counts."""

    def __init__(self) -> None:
        self.ends: Counter[tuple[Channel, End, str]] = Counter()
        self.counts: Counter[str] = Counter()

    def planned(self, channel: Channel, people: int, deliveries: int, suppressed: Mapping[str, int]) -> None:
        self.counts[f"planned {channel}"] += people

    def ended(self, channel: Channel, end: End, reason: str, count: int) -> None:
        self.ends[channel, end, reason] += count

    def retried(self, channel: Channel, reason: str, count: int) -> None:
        self.counts[f"retried {reason}"] += count

    def postponed(self, channel: Channel, reason: str, count: int) -> None:
        self.counts[f"postponed {reason}"] += count

    def fenced(self) -> None:
        self.counts["fenced"] += 1

    def reclaimed(self, slices: int) -> None:
        self.counts["reclaimed"] += slices


class World:
    """A store, a directory, scripted senders, and a clock that the test moves."""

    def __init__(
        self,
        link: Link,
        directory: Directory,
        limits: Mapping[str, LaneLimit] | None = None,
        lanes: Sequence[str] = LANES,
    ) -> None:
        self.now_ms = NOON_MS
        self.directory = directory
        self.work = StoreWork(link)
        self.lanes = StoreLanes(link, limits or {})
        self.senders: dict[str, ScriptedSender] = {lane: ScriptedSender() for lane in lanes}
        self.heard = Heard()
        self.fanout = FanOut(self.work, directory, lanes, self.heard, self.now)
        self.upkeep = Upkeep(self.work, self.heard, self.now)
        self._numbers = count(1)

    def now(self) -> int:
        return self.now_ms

    async def people(self, people: Iterable[Person]) -> None:
        """Write people, their school and class."""
        school = Institution(id="s1", tenant="0101", name="Skolen")
        groups = [Group(id=id, institution="s1", name=id) for id in ("3b", "choir")]
        lines: list[Line] = [school, *groups, *people]
        refused = await self.directory.apply(list(enumerate(lines, 1)), self.now_ms)
        assert not refused

    async def number(self, id: str) -> int:
        return (await self.directory.numbers([id]))[id]

    async def admit(self, audience: Audience = GUARDIANS_OF_3B, **changes: Any) -> Event:
        """Admit an event, as the intake does."""
        at = next(self._numbers)
        number = at * 16 + at % 16 + (1 << 30)
        fields = {"number": number, "id": str(at), "audience": audience, "admitted_ms": self.now_ms, **changes}
        admitted = event(**fields)
        (found,) = await self.work.admit([admitted], [b"f"])
        assert found.number == number
        return admitted

    async def plan(self, audience: Audience = GUARDIANS_OF_3B, **changes: Any) -> Event:
        """Admit an event and plan it, with no dispatcher running."""
        admitted = await self.admit(audience, **changes)
        await self.fanout.plan(admitted)
        return admitted

    def dispatcher(
        self, name: str = "w1", personal: PersonalReader | None = None, duty: Duty = Duty.ALL, **changes: Any
    ) -> Dispatcher:
        settings = DispatchSettings(
            **{"lease_seconds": LEASE_SECONDS, "look_seconds": 0.02, "lane_seconds": 0.05, **changes}
        )
        return Dispatcher(
            self.work,
            self.lanes,
            self.directory,
            self.senders,
            self.heard,
            name,
            self.now,
            lambda: 0.5,
            settings,
            personal=personal,
            duty=duty,
        )

    @asynccontextmanager
    async def dispatching(self, name: str = "w1", **changes: Any) -> AsyncIterator[Drain]:
        """Run a dispatcher that looks often, without the store's bell; leaving drains it."""
        drain = Drain()
        async with trio.open_nursery() as nursery:
            await nursery.start(self.dispatcher(name, **changes).run, drain)
            yield drain
            drain.begin()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Drain]:
        """Run everything, the store's bell included; leaving drains it."""
        async with trio.open_nursery() as bell:
            await bell.start(self.work.run)
            async with self.dispatching(look_seconds=5.0) as drain, trio.open_nursery() as nursery:
                nursery.start_soon(self.fanout.run, drain)
                nursery.start_soon(self.upkeep.run, drain)
                yield drain
                drain.begin()
            bell.cancel_scope.cancel()

    async def promote(self, seconds: float) -> None:
        """Let time pass, and queue what is due then."""
        self.now_ms += round(1000 * seconds)
        await self.upkeep.promote()

    async def pass_time(self, step_seconds: float, is_so: Callable[[], bool]) -> None:
        """Let time pass in steps, queueing what is due, until something is so."""
        with trio.fail_after(10):
            while not is_so():
                await self.promote(step_seconds)
                await self.work.wait_for_work(0.01)

    async def report(self, of: Event) -> EventReport:
        found = await self.work.report(of.number)
        assert found is not None
        return found

    async def counts(self, of: Event, channel: Channel = Channel.PUSH) -> Counts:
        return (await self.report(of)).channels.get(channel, Counts())

    async def until(self, of: Event, is_so: Callable[[EventReport], bool]) -> EventReport:
        """Wait for a fact about an event."""
        with trio.fail_after(10):
            while not is_so(found := await self.report(of)):
                await self.work.wait_for_work(0.01)
        return found

    async def closed(self, of: Event, step_seconds: float = 0) -> EventReport:
        """Wait until nothing of an event is live, time passing in steps; hold its ledger against conservation."""
        with trio.fail_after(10):
            while (found := await self.report(of)).state != "closed":
                if step_seconds:
                    await self.promote(step_seconds)
                await self.work.wait_for_work(0.01)
        balanced(found)
        return found

    async def handed(self, lane: str, deliveries: int) -> None:
        """Wait until a sender has been handed so many deliveries."""
        with trio.fail_after(10):
            while len(self.senders[lane].handed) < deliveries:
                await trio.sleep(0.005)


def balanced(report: EventReport) -> None:
    """People: planned and suppressed add up to the audience. Deliveries: the ends add up to planned."""
    for channel, counts in report.channels.items():
        assert counts.people + sum(counts.suppressed.values()) == report.audience, channel
        assert counts.live == 0 or report.state != "closed", channel


def guardian(id: str, *tokens: str, **changes: Any) -> Person:
    """A guardian with iPhones."""
    devices = tuple(Device(platform=Platform.IOS, app="parent", token=f"token-{token}") for token in tokens)
    return Person(id=id, tenant="0101", devices=devices, **changes)


def pupil(id: str, *guardians: str, groups: tuple[str, ...] = ("3b",)) -> Person:
    profile = Profile(institution="s1", role=Role.PUPIL, groups=groups)
    return Person(id=id, tenant="0101", profiles=(profile,), guardians=guardians)


def school_class(size: int = 6) -> list[Person]:
    """Class 3b: each pupil with one guardian who has one iPhone."""
    people: list[Person] = []
    for at in range(size):
        people += [guardian(f"g{at}", f"{at:04}"), pupil(f"p{at}", f"g{at}")]
    return people
