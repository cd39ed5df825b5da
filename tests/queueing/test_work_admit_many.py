"""Many events a script call: new ones, repetitions, other content under a known key, taken numbers, in any mixture."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.records.event import Admission, Event
from engine.records.words import Urgency
from queueing import keys
from queueing.link import Link
from queueing.work import StoreWork, admission
from tests.queueing.work_examples import LEASE_MS, NOW_MS, event


class Sent(NamedTuple):
    id: str
    tenant: str
    urgency: Urgency
    draw: int
    fingerprint: bytes

    @property
    def event(self) -> Event:
        return event(self.id, tenant=self.tenant, urgency=self.urgency, draw=self.draw)


SENT = st.builds(
    Sent,
    id=st.sampled_from([str(number) for number in range(24)]),
    tenant=st.sampled_from(["0751", "0101"]),
    urgency=st.sampled_from(list(Urgency)),
    draw=st.integers(0, 2),  # few, so that numbers of different events meet
    fingerprint=st.sampled_from([b"one", b"other"]),
)


class Oracle:
    """The naive ledger: a dictionary of keys and a dictionary of numbers, one event after the other."""

    def __init__(self) -> None:
        self.keys: dict[tuple[str, str], tuple[int, bytes]] = {}
        self.events: dict[int, Event] = {}

    def admit(self, batch: Iterable[Sent]) -> list[Admission]:
        answers: dict[int, Admission] = {}
        waiting = [(place, sent, sent.event) for place, sent in enumerate(batch)]
        while waiting:  # who finds its number taken comes again, with the next, after the others
            again = []
            for place, sent, one in waiting:
                key = (one.tenant, one.id)
                if key in self.keys:
                    number, fingerprint = self.keys[key]
                    answers[place] = Admission(number, "same" if fingerprint == sent.fingerprint else "conflict")
                elif one.number in self.events:
                    again.append((place, sent, msgspec.structs.replace(one, number=one.number + 16)))
                else:
                    self.keys[key], self.events[one.number] = (one.number, sent.fingerprint), one
                    answers[place] = Admission(one.number, "new")
            waiting = again
        return [answers[place] for place in range(len(answers))]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(SENT, min_size=1, max_size=40), min_size=1, max_size=3))
async def test_every_mixture_ends_as_in_a_naive_ledger(link: Link, batches: list[list[Sent]]) -> None:
    link.run_now([("FLUSHALL",)])
    work, oracle = StoreWork(link), Oracle()
    for batch in batches:
        answers = await work.admit([sent.event for sent in batch], [sent.fingerprint for sent in batch])
        assert answers == oracle.admit(batch)
    assert {number: one for number, (one, _) in (await work.events(list(oracle.events))).items()} == oracle.events
    for (tenant, id), known in oracle.keys.items():
        assert await work.find_admitted(tenant, "/chat", id) == known
    assert await _looked_at_again(link) == {number: one.expires_ms for number, one in oracle.events.items()}
    leased = await work.lease_unplanned(1_000, NOW_MS, LEASE_MS)
    assert sorted(one.number for one in leased) == sorted(oracle.events)
    assert await work.lease_unplanned(1_000, NOW_MS, LEASE_MS) == []
    assert await work.depths() == []


async def test_more_events_than_one_call_takes_are_admitted_in_order(link: Link) -> None:
    count = 2 * admission.EVENTS_A_CALL + 1
    (shard,) = {event("1").shard}
    ids = [id for id in map(str, range(1, 20 * count)) if event(id).shard == shard][:count]
    events = [event(id, draw=place) for place, id in enumerate(ids)]
    work = StoreWork(link)
    answers = await work.admit([*events, *events], [b"f"] * 2 * count)
    assert [answer.status for answer in answers] == ["new"] * count + ["same"] * count
    assert [answer.number for answer in answers] == 2 * [one.number for one in events]


async def test_tenants_that_come_in_one_call_take_turns(link: Link) -> None:
    work = StoreWork(link)
    events = [event(str(id), tenant=tenant) for tenant in ("0101", "0751") for id in range(200)]
    await work.admit(events, [b""] * len(events))
    first = await work.lease_unplanned(100, NOW_MS, LEASE_MS)
    assert {one.tenant for one in first} == {"0101", "0751"}


async def _looked_at_again(link: Link) -> dict[int, int]:
    """The expiry index of all shards: event number -> time."""
    replies: list[list[Any]] = await link.run([("ZRANGE", name, 0, -1, "WITHSCORES") for name in keys.EXPIRY])
    return {int(name, 16): int(score) for reply in replies for name, score in zip(reply[::2], reply[1::2], strict=True)}
