"""Truth at send time, as a rule: who goes, who no longer, who waits."""

from __future__ import annotations

import msgspec
import pytest

from engine.records.roster import roster_of
from engine.records.words import Channel, End, Reason, Stop
from engine.rules.planes import Route
from engine.rules.policy import ALL_CHANNELS
from engine.rules.quiet import Release
from engine.rules.recheck import CLAIMS_MAX, POISON, held_children, rest_child, stand, unsent_end
from tests.rules.people import HOUR_MS, NOON_MS, claim, event

APNS = Route("apns.parent", 0)


def test_who_left_the_audience_or_opted_out_is_suppressed_by_reason() -> None:
    people = roster_of([1, 2, 3, 4])
    planes = {"off.push.message": roster_of([2]), "ep.apns.parent.0": roster_of([1, 2, 3])}
    entitled, suppressed = stand(event(), APNS, people, roster_of([2, 3, 4]), planes, ALL_CHANNELS)
    assert entitled == roster_of([3])
    assert {(group.end, group.reason): group.people for group in suppressed} == {
        (End.SUPPRESSED, Reason.NOT_IN_AUDIENCE): roster_of([1]),
        (End.SUPPRESSED, Reason.OPTED_OUT): roster_of([2]),
        (End.SUPPRESSED, Reason.NO_ENDPOINT): roster_of([4]),
    }


def test_a_device_that_is_gone_is_no_endpoint_even_where_another_is_left() -> None:
    planes = {"ep.apns.parent.1": roster_of([1])}
    entitled, suppressed = stand(event(), APNS, roster_of([1]), roster_of([1]), planes, ALL_CHANNELS)
    assert not entitled
    assert [group.reason for group in suppressed] == [Reason.NO_ENDPOINT]


def test_a_strategy_that_changed_stops_the_channel() -> None:
    planes = {"ep.apns.parent.0": roster_of([1])}
    entitled, suppressed = stand(event(), APNS, roster_of([1]), roster_of([1]), planes, {Channel.EMAIL})
    assert not entitled
    assert [group.reason for group in suppressed] == [Reason.STRATEGY]


@pytest.mark.parametrize(
    ("stop", "left_ms", "end"),
    [
        (None, 1, None),
        (None, 0, End.EXPIRED),
        (Stop.CANCELLED, 1, End.CANCELLED),
        (Stop.SUPERSEDED, 0, End.SUPERSEDED),
    ],
)
def test_a_stopped_or_expired_claim_ends_unsent(stop: Stop | None, left_ms: int, end: End | None) -> None:
    of = event(expires_ms=NOON_MS + left_ms)
    assert unsent_end(claim({1}, event=of, stop=stop), NOON_MS) == (end and (end, ""))


def test_held_people_become_at_most_four_children_that_keep_their_attempt() -> None:
    parent = claim(set(range(20)), attempt=3).slice
    releases = [Release(NOON_MS + at * HOUR_MS, roster_of([at])) for at in range(20)]
    children = held_children(parent, releases, NOON_MS + 48 * HOUR_MS)
    assert len(children) == 4
    assert {child.attempt for child in children} == {3}
    assert not any(child.is_retry for child in children)
    for child in children:
        last = max(release.at_ms for release in releases if release.people[0] & child.people[0])
        assert last <= child.due_ms <= last + 600_000


def test_who_got_no_permit_goes_at_once_and_keeps_the_attempt() -> None:
    child = rest_child(claim({1}, attempt=2).slice, roster_of([1]))
    assert (child.due_ms, child.attempt, child.is_retry) == (0, 2, False)


def test_a_slice_that_kills_its_workers_is_a_dead_letter() -> None:
    last = msgspec.structs.replace(claim({1}), epoch=2 * CLAIMS_MAX - 1)
    assert unsent_end(last, NOON_MS) is None
    assert unsent_end(msgspec.structs.replace(last, epoch=2 * CLAIMS_MAX + 1), NOON_MS) == (End.DEAD, POISON)
