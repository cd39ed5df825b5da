"""Every status a push service may answer, and whom a refused key concerns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.http2.jobs import Answer
from channels.webpush.answers import (
    KEY_DOUBTED,
    KEY_REFUSED,
    OTHER_KEY,
    REFUSALS_IN_A_ROW_MAX,
    TABLE,
    TOKEN_DOUBTED,
    KeyStanding,
    meant,
    outcome,
)
from engine.outcomes import ACCEPTED, Outcome, Rejected, Throttled, Unreachable

NOW = 1_800_000_000.0
GONE, OURS = {"endpoint_gone": True}, {"our_fault": True}

ROWS: list[tuple[int, Outcome]] = [
    *((status, ACCEPTED) for status in (200, 201, 202, 204)),
    *((status, Unreachable(reason="redirect_refused")) for status in (301, 302, 303, 307, 308)),
    *((status, Rejected(reason="bad_request", our_fault=True)) for status in (400, 411, 415)),
    (401, Unreachable(reason="vapid_token_refused")),
    (403, Unreachable(reason="vapid_refused")),
    (404, Rejected(reason="not_found", endpoint_gone=True)),
    (405, Rejected(reason="method_not_allowed", our_fault=True)),
    (406, Throttled(reason="too_many_requests", lane_wide=True)),
    (410, Rejected(reason="gone", endpoint_gone=True)),
    (413, Rejected(reason="payload_too_large", our_fault=True)),
    (429, Throttled(reason="too_many_requests", lane_wide=True)),
    (500, Unreachable(reason="internal")),
    *((status, Unreachable(reason="unavailable")) for status in (502, 503, 504)),
]


@pytest.mark.parametrize(("status", "meaning"), ROWS)
def test_every_status_has_its_meaning(status: int, meaning: Outcome) -> None:
    assert outcome(Answer(status, (), b""), NOW) == meaning


@pytest.mark.parametrize(
    ("status", "body", "meaning"),
    [
        (401, b'{"code":401,"errno":109,"message":"VAPID public key mismatch"}', KEY_DOUBTED),  # Mozilla
        (401, b'{"code":401,"errno":109,"message":"Auth expired"}', TOKEN_DOUBTED),
        (400, b'{"reason":"VapidPkHashMismatch"}', KEY_DOUBTED),  # Apple
        (400, b'{"reason":"BadTtl"}', Rejected(reason="bad_request", our_fault=True)),
        (403, b"", KEY_DOUBTED),
        (410, b"VapidPkHashMismatch", Rejected(reason="gone", endpoint_gone=True)),
    ],
)
def test_each_push_services_way_to_name_another_key_is_known(status: int, body: bytes, meaning: Outcome) -> None:
    assert outcome(Answer(status, (), body), NOW) == meaning


@pytest.mark.parametrize("verdict", [KEY_DOUBTED, OTHER_KEY, KEY_REFUSED])
def test_a_refused_token_takes_no_subscription_but_stops_the_lane_in_the_end(verdict: Outcome) -> None:
    assert meant(KEY_DOUBTED, verdict) == verdict
    assert meant(TOKEN_DOUBTED, verdict) == (KEY_REFUSED if verdict == KEY_REFUSED else TOKEN_DOUBTED)


def test_the_table_has_no_row_that_is_not_tested() -> None:
    assert set(TABLE) == {status for status, _ in ROWS}


@given(st.integers(100, 999), st.binary(max_size=50))
def test_an_unknown_status_is_tried_again_and_counted_and_only_two_call_an_endpoint_gone(
    status: int, body: bytes
) -> None:
    found = outcome(Answer(status, (), body), NOW)
    if status not in TABLE:
        assert found == Unreachable(reason=f"unrecognised_{status // 100}xx")
    assert (isinstance(found, Rejected) and found.endpoint_gone) == (status in (404, 410))


@pytest.mark.parametrize("status", [429, 406, 502, 503, 504])
@pytest.mark.parametrize(
    ("said", "seconds"), [(b"120", 120.0), (b"Fri, 15 Jan 2027 08:00:30 GMT", 30.0), (b"0", 1.0), (b"999999", 3600.0)]
)
def test_a_wait_that_is_asked_for_slows_the_lane(status: int, said: bytes, seconds: float) -> None:
    found = outcome(Answer(status, ((b"retry-after", said),), b""), NOW)
    assert isinstance(found, Throttled)
    assert (found.lane_wide, found.retry_after_seconds) == (True, seconds)


def test_one_stale_subscription_among_good_ones_goes_and_the_lane_does_not_park() -> None:
    standing = KeyStanding()
    assert standing.hear(10, 1) == OTHER_KEY
    assert standing.hear(0, 1) == OTHER_KEY


def test_refusals_with_nothing_taken_in_between_park_the_lane_and_delete_nothing() -> None:
    fresh = KeyStanding()
    assert [fresh.hear(0, 1) for _ in range(5)] == [KEY_DOUBTED] * 4 + [KEY_REFUSED]
    proven = KeyStanding()
    proven.hear(1, 0)
    assert proven.hear(0, REFUSALS_IN_A_ROW_MAX) == KEY_REFUSED
    assert proven.hear(0, 1) == KEY_REFUSED
    assert proven.hear(3, 1) == OTHER_KEY


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 7)), max_size=30))
def test_a_subscription_goes_only_when_the_key_was_taken_within_the_last_refusals(
    batches: list[tuple[int, int]],
) -> None:
    standing, run, ever = KeyStanding(), 0, False
    for accepted, refused in batches:
        run = 0 if accepted else run + refused
        ever = ever or accepted > 0
        meant = standing.hear(accepted, refused)
        if meant == OTHER_KEY:
            assert ever
            assert run < REFUSALS_IN_A_ROW_MAX
        elif run >= REFUSALS_IN_A_ROW_MAX:
            assert meant == KEY_REFUSED
