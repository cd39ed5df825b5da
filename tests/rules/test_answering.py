"""What a batch of answers means: everyone is accounted for, and lanes and endpoints are judged as a whole."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from engine.outcomes import ACCEPTED, Accepted, Outcome, Rejected, Throttled, Unknown, Unreachable
from engine.records.roster import headcount, numbers_of, roster_of
from engine.records.words import End
from engine.records.work import Endpoint
from engine.rules.answering import DOUBT_MS, LaneHealth, Reading, read_answers
from engine.rules.breaker import PROVIDER_DOWN
from engine.rules.lifecycle import ENDS, State
from engine.rules.retry import Park, Slow
from engine.rules.settling import check, settlement
from tests.rules.people import NOON_MS, claim

GONE = Rejected(reason="Unregistered", endpoint_gone=True, gone_since_ms=NOON_MS - 5)
OUTCOMES: list[Outcome] = [
    ACCEPTED,
    GONE,
    Rejected(reason="PayloadTooLarge", our_fault=True),
    Throttled(reason="429", lane_wide=True, retry_after_seconds=7),
    Throttled(reason="busy", lane_wide=False),
    Unreachable(reason="503"),
    Unreachable(reason="403", park=True),
    Unknown(reason="timeout"),
]


def read(outcomes: Mapping[int, Outcome], health: LaneHealth | None = None, attempt: int = 1) -> Reading:
    endpoints = [Endpoint(number, 1, b"address") for number in sorted(outcomes)]
    of = claim(set(outcomes), attempt=attempt)
    answers = [outcomes[endpoint.number] for endpoint in endpoints]
    return read_answers(of, of.slice.people, endpoints, answers, health or LaneHealth(), NOON_MS, lambda: 0.5)


@given(st.dictionaries(st.integers(0, 900), st.sampled_from(OUTCOMES), min_size=1, max_size=80), st.integers(1, 6))
def test_everyone_ends_or_goes_on_and_only_as_the_table_allows(outcomes: dict[int, Outcome], attempt: int) -> None:
    reading = read(outcomes, attempt=attempt)
    settled = settlement(claim(set(outcomes), attempt=attempt), NOON_MS, reading.ends, reading.children, stamp="9-0")
    check(settled)
    assert len(settled.children) <= 4
    assert {group.end for group in settled.ends} <= ENDS[State.MARKED]
    accepted = [n for group in settled.ends if group.end is End.ACCEPTED for n in numbers_of(group.people)]
    assert accepted == [number for number in sorted(outcomes) if outcomes[number] is ACCEPTED]


def test_a_provider_that_only_says_503_is_asked_again_at_growing_intervals_of_at_least_ten_seconds() -> None:
    busy, health = Throttled(reason="UNAVAILABLE", lane_wide=True, retry_after_seconds=10.0), LaneHealth()
    waits = []
    for _ in range(6):
        lane = read(dict.fromkeys(range(30), busy), health).lane
        assert isinstance(lane, Slow)
        waits.append((lane.until_ms - NOON_MS) / 1000)
    assert waits == [10.5, 10.5, 20, 40, 60, 60]
    asked = Throttled(reason="UNAVAILABLE", lane_wide=True, retry_after_seconds=300.0)
    assert read(dict.fromkeys(range(30), asked), health).lane == Slow(NOON_MS + 315_000, "UNAVAILABLE")
    assert read({1: ACCEPTED, 2: Unreachable(reason="x")}, health).lane is None
    again = read(dict.fromkeys(range(30), busy), health).lane
    assert again == Slow(NOON_MS + 10_500, "UNAVAILABLE")


def test_an_accepted_answer_that_is_not_the_shared_one_counts_too() -> None:
    reading = read({1: Accepted(), 2: GONE})
    assert [(group.end, group.people) for group in reading.ends] == [
        (End.ACCEPTED, roster_of([1])),
        (End.REJECTED, roster_of([2])),
    ]


def test_endpoints_that_are_gone_are_named_with_the_providers_time() -> None:
    reading = read({1: GONE, 2: ACCEPTED})
    assert reading.gone == [(Endpoint(1, 1, b"address"), NOON_MS - 5)]
    assert reading.lane is None


def test_a_doubted_batch_retires_nobody_parks_the_lane_and_rejects_only_what_is_believed() -> None:
    reading = read(dict.fromkeys(range(60), GONE) | {70: Rejected(reason="BadPayload"), 71: ACCEPTED})
    assert reading.gone == []
    assert isinstance(reading.lane, Park)
    assert [(group.end, headcount(group.people)) for group in reading.ends] == [(End.ACCEPTED, 1), (End.REJECTED, 1)]
    (child,) = reading.children
    assert (headcount(child.people), child.attempt, child.is_retry) == (60, 1, False)


def test_an_open_breaker_keeps_the_attempts_of_those_who_were_surely_not_processed() -> None:
    outcomes: dict[int, Outcome] = dict.fromkeys(range(30), Unreachable(reason="refused"))
    reading = read({**outcomes, 40: Unknown(reason="timeout")})
    assert reading.lane == Slow(NOON_MS + 5_000, PROVIDER_DOWN)
    assert {(child.attempt, child.is_retry): headcount(child.people) for child in reading.children} == {
        (1, False): 30,
        (2, True): 1,
    }


def test_unknown_and_unreachable_are_no_answers() -> None:
    assert read({1: Unknown(reason="t"), 2: Unreachable(reason="r"), 3: ACCEPTED, 4: GONE}).answered == 2


def test_answers_that_were_under_way_when_the_lane_was_parked_retire_nobody() -> None:
    endpoints = [Endpoint(number, 1, b"address") for number in (1, 2, 3)]
    of = claim({1, 2, 3}, attempt=1)
    outcomes: list[Outcome] = [GONE, ACCEPTED, Rejected(reason="PayloadTooLarge", our_fault=True)]
    reading = read_answers(of, of.slice.people, endpoints, outcomes, LaneHealth(), NOON_MS, lambda: 0.5, is_parked=True)
    assert (reading.gone, reading.lane) == ([], None)
    assert [(child.reason, list(numbers_of(child.people))) for child in reading.children] == [("endpoint_doubted", [1])]
    assert {end.end for end in reading.ends} == {End.ACCEPTED, End.REJECTED}


def test_a_guard_that_tripped_doubts_what_was_under_way_for_some_seconds() -> None:
    health = LaneHealth()
    for at_ms, retired in ((NOON_MS, 0), (NOON_MS + DOUBT_MS - 1, 0), (NOON_MS + DOUBT_MS, 1)):
        outcomes = dict.fromkeys(range(40 if at_ms == NOON_MS else 1), GONE)
        endpoints = [Endpoint(number, 1, b"address") for number in sorted(outcomes)]
        of = claim(set(outcomes), attempt=1)
        answers = [outcomes[endpoint.number] for endpoint in endpoints]
        reading = read_answers(of, of.slice.people, endpoints, answers, health, at_ms, lambda: 0.5)
        assert len(reading.gone) == retired
        assert isinstance(reading.lane, Park) == (at_ms == NOON_MS)
