"""The table of relay answers, row by row, and what holds for any answer at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.email import answers
from channels.email.answers import TABLE, Stage, outcome
from engine.outcomes import Accepted, Outcome, Rejected, Throttled, Unknown, Unreachable

MAIL, RCPT, DATA, CONTENT, CONNECT, AUTH = (
    Stage.MAIL,
    Stage.RCPT,
    Stage.DATA,
    Stage.CONTENT,
    Stage.CONNECT,
    Stage.AUTH,
)


def wide(reason: str) -> Throttled:
    return Throttled(reason=reason, lane_wide=True)


def one(reason: str, seconds: float | None = None) -> Throttled:
    return Throttled(reason=reason, lane_wide=False, retry_after_seconds=seconds)


def parked(reason: str) -> Unreachable:
    return Unreachable(reason=reason, park=True)


def ours(reason: str) -> Rejected:
    return Rejected(reason=reason, our_fault=True)


GONE = Rejected(reason="no_such_mailbox", endpoint_gone=True)

CASES: list[tuple[Stage, int, str, Outcome]] = [
    (CONTENT, 250, "2.0.0", Accepted()),
    (CONTENT, 250, "", Accepted()),
    (CONTENT, 251, "", Accepted()),
    (RCPT, 450, "4.7.32", parked("sender_not_authenticated")),
    (CONTENT, 421, "4.7.32", parked("sender_not_authenticated")),
    (CONTENT, 550, "5.7.26", parked("sender_not_authenticated")),
    (RCPT, 550, "5.7.515", parked("sender_not_authenticated")),
    (MAIL, 530, "5.7.0", parked("relay_refused_login")),
    (AUTH, 535, "5.7.8", parked("relay_refused_login")),
    (AUTH, 534, "5.7.9", parked("relay_refused_login")),
    (AUTH, 504, "", parked("relay_refused_login")),
    (AUTH, 454, "4.7.0", Unreachable(reason="relay_login_unavailable")),
    (MAIL, 421, "4.7.0", wide("rate_or_reputation")),
    (CONTENT, 421, "4.7.28", wide("rate_or_reputation")),
    (RCPT, 421, "", wide("relay_closing")),
    (CONNECT, 421, "4.3.2", wide("relay_closing")),
    (CONNECT, 450, "", wide("relay_busy")),
    (CONNECT, 554, "", Unreachable(reason="relay_refuses_us")),
    (RCPT, 450, "4.7.1", one("greylisted", 300)),
    (RCPT, 451, "4.7.1", one("greylisted", 300)),
    (RCPT, 451, "", one("greylisted", 300)),
    (CONTENT, 451, "4.7.1", wide("rate_or_reputation")),
    (RCPT, 451, "4.7.0", wide("rate_or_reputation")),
    (RCPT, 450, "4.2.1", one("mailbox_busy", 900)),
    (RCPT, 452, "4.2.2", one("mailbox_full", 3600)),
    (RCPT, 452, "4.5.3", one("too_many_recipients")),
    (RCPT, 450, "4.4.1", one("no_route", 300)),
    (CONTENT, 451, "4.4.2", wide("relay_busy")),
    (MAIL, 452, "4.3.1", wide("relay_busy")),
    (RCPT, 452, "4.3.1", wide("relay_busy")),
    (DATA, 451, "", wide("relay_busy")),
    (CONTENT, 451, "", one("message_deferred")),
    (RCPT, 550, "5.1.1", GONE),
    (RCPT, 550, "5.1.2", GONE),
    (RCPT, 553, "5.1.3", GONE),
    (RCPT, 551, "5.1.6", GONE),
    (RCPT, 556, "5.1.10", GONE),
    (CONTENT, 550, "5.1.1", GONE),
    (RCPT, 550, "5.4.4", GONE),
    (MAIL, 550, "5.1.8", ours("message_refused")),
    (MAIL, 550, "5.1.1", ours("message_refused")),
    (RCPT, 550, "5.2.1", Rejected(reason="mailbox_disabled")),
    (RCPT, 552, "5.2.2", Rejected(reason="mailbox_full")),
    (CONTENT, 552, "5.2.3", ours("too_big")),
    (CONTENT, 552, "5.3.4", ours("too_big")),
    (MAIL, 552, "", ours("too_big")),
    (RCPT, 550, "5.7.1", ours("policy")),
    (CONTENT, 554, "5.7.1", ours("policy")),
    (MAIL, 501, "5.5.4", ours("relay_did_not_understand")),
    (DATA, 503, "", ours("relay_did_not_understand")),
    (RCPT, 550, "", Rejected(reason="recipient_refused")),
    (CONTENT, 554, "", ours("message_refused")),
    (CONTENT, 354, "", Unknown(reason="strange_answer")),
    (RCPT, 354, "", Unreachable(reason="strange_answer")),
]


@pytest.mark.parametrize(("stage", "code", "enhanced", "expected"), CASES)
def test_an_answer_means(stage: Stage, code: int, enhanced: str, expected: Outcome) -> None:
    assert outcome(stage, code, enhanced) == expected


def test_every_row_decides_at_least_one_case() -> None:
    deciders = {
        next(at for at, row in enumerate(TABLE) if row.fits(stage, code, enhanced))
        for stage, code, enhanced, _ in CASES
        if code != 354
    }

    assert deciders == set(range(len(TABLE)))


@given(st.sampled_from(Stage), st.integers(200, 599), st.from_regex(r"[245]\.[0-7]\.[0-9]{1,3}|", fullmatch=True))
def test_no_answer_is_taken_for_more_than_it_says(stage: Stage, code: int, enhanced: str) -> None:
    meaning = outcome(stage, code, enhanced)

    if isinstance(meaning, Accepted):
        assert stage is CONTENT
        assert code < 300
    if isinstance(meaning, Rejected):
        assert code >= 500
        assert not (meaning.endpoint_gone and meaning.our_fault)
        assert not meaning.endpoint_gone or enhanced.startswith(("5.1.", "5.4.4"))
    if isinstance(meaning, Unknown):
        assert stage is CONTENT


@pytest.mark.parametrize("stage", [s for s in Stage if s is not CONTENT])
def test_before_the_final_dot_a_lost_connection_means_surely_not_processed(stage: Stage) -> None:
    assert answers.lost(stage, in_time=True) == Unreachable(reason="connection_lost")
    assert answers.lost(stage, in_time=False) == Unreachable(reason="no_answer")


def test_after_the_final_dot_nobody_knows() -> None:
    assert answers.lost(CONTENT, in_time=True) == Unknown(reason="connection_lost")
    assert answers.lost(CONTENT, in_time=False) == Unknown(reason="no_answer")
