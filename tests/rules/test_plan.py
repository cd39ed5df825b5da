"""The plan: parts, slices, ids, due times."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.records.roster import FULL_MASK, Roster, headcount, roster_of
from engine.records.words import Channel, Reason, Urgency
from engine.rules import roster as rosters
from engine.rules.pacing import paced_ms
from engine.rules.plan import ONE_PART_PEOPLE_MAX, part_plan, parts_of
from engine.rules.planes import Route
from engine.rules.policy import Verdict
from engine.rules.quiet import Release
from tests.rules.people import HOUR_MS, NOON_MS, event, people

APNS, EMAIL, INAPP = Route("apns.parent", 0), Route("email", 0), Route("inapp", 0)
MORNING_MS = NOON_MS + 19 * HOUR_MS


def test_a_small_event_has_one_part_on_its_home_shard() -> None:
    audience: Roster = dict.fromkeys(range(64), FULL_MASK)
    assert headcount(audience) == ONE_PART_PEOPLE_MAX
    assert parts_of(event(), audience) == {5: audience}
    assert parts_of(event(), {}) == {5: {}}


def test_one_person_more_and_it_is_cut_into_parts_by_block() -> None:
    audience: Roster = {**dict.fromkeys(range(64), FULL_MASK), 64: 1}
    parts = parts_of(event(), audience)
    assert sorted(parts) == list(range(16))
    assert sorted(parts[0]) == [0, 16, 32, 48, 64]


def test_held_people_wait_on_push_and_email_but_not_in_the_inbox() -> None:
    everyone = roster_of([1, 2, 3])
    verdict = Verdict(people={Channel.PUSH: everyone}, deliveries={APNS: everyone, INAPP: everyone})
    held = [Release(MORNING_MS, roster_of([2]))]
    plan = part_plan(event(urgency=Urgency.URGENT), 5, everyone, verdict, held, "7-0")
    assert [(piece.id, piece.lane, piece.due_ms, piece.people) for piece in plan.slices] == [
        ("0", "apns.parent", 0, roster_of([1, 3])),
        ("1", "apns.parent", MORNING_MS, roster_of([2])),
        ("2", "inapp", 0, everyone),
    ]
    assert plan.planned_people == {Channel.PUSH: 3}


def test_an_emergency_is_not_held() -> None:
    verdict = Verdict(deliveries={APNS: {0: 7}})
    plan = part_plan(event(urgency=Urgency.EMERGENCY), 5, {0: 7}, verdict, [Release(MORNING_MS, {0: 7})], "7-0")
    assert [piece.due_ms for piece in plan.slices] == [0]


def test_a_release_of_many_is_spread_over_ten_minutes_the_same_way_twice() -> None:
    crowd: Roster = dict.fromkeys(range(40), FULL_MASK)
    verdict = Verdict(deliveries={APNS: crowd})

    def dues() -> list[int]:
        return [s.due_ms for s in part_plan(event(), 5, crowd, verdict, [Release(MORNING_MS, crowd)], "7-0").slices]

    assert dues() == dues()
    assert len(set(dues())) == 10
    assert all(MORNING_MS <= due <= MORNING_MS + 600_000 for due in dues())
    assert max(dues()) - min(dues()) > 200_000


@given(st.integers(-HOUR_MS, HOUR_MS), st.text(max_size=4), st.sampled_from(Urgency))
def test_pacing_never_leaves_the_spread_nor_reaches_expiry(left_ms: int, seed: str, urgency: Urgency) -> None:
    due = paced_ms(NOON_MS, urgency=urgency, expires_ms=NOON_MS + left_ms, seed=seed)
    most = 600_000 if urgency in (Urgency.NORMAL, Urgency.BULK) else 0
    assert NOON_MS <= due <= NOON_MS + most
    assert due == NOON_MS or due <= NOON_MS + left_ms - 60_000


@given(people, people, people, people)
def test_planning_keeps_every_delivery_once(
    push: frozenset[int], mail: frozenset[int], first: frozenset[int], second: frozenset[int]
) -> None:
    verdict = Verdict(
        suppressed={(Channel.PUSH, Reason.NO_ENDPOINT): roster_of(mail - push)},
        deliveries={APNS: roster_of(push), EMAIL: roster_of(mail)},
    )
    releases = [Release(MORNING_MS, roster_of(first)), Release(MORNING_MS + HOUR_MS, roster_of(second - first))]
    plan = part_plan(event(), 5, roster_of(push | mail), verdict, releases, "7-0")
    for route, who in ((APNS, push), (EMAIL, mail)):
        pieces = [piece for piece in plan.slices if piece.lane == route.lane]
        assert sum(headcount(piece.people) for piece in pieces) == len(who)
        assert rosters.union(*(piece.people for piece in pieces)) == roster_of(who)
        now = rosters.union(*(piece.people for piece in pieces if piece.due_ms == 0))
        assert now == roster_of(who - first - second)
    assert [piece.id for piece in plan.slices] == [str(at) for at in range(len(plan.slices))]
