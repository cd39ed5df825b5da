"""What a relay's reply means: SMTP code, enhanced code and stage -> outcome. First row that fits decides.

Sources: RFC 5321 (4.2, codes and stages), RFC 3463 and the IANA registry (enhanced codes), RFC 4954 (AUTH),
Gmail and Microsoft sender pages for 4.7.28, 4.7.32, 5.7.26 and 5.7.515. Two habits behind the table: a sentence about
our reputation is never held against a recipient's address, and without an enhanced code the stage decides whose
fault it is (RCPT: the recipient's, MAIL and content: ours).
"""

from __future__ import annotations

from enum import Enum, auto
from fnmatch import fnmatchcase
from typing import NamedTuple

from engine.outcomes import ACCEPTED, Outcome, Rejected, Throttled, Unknown, Unreachable


class Stage(Enum):
    """Where in the dialogue a reply came, or was missed. CONTENT is the reply to the final dot."""

    CONNECT = auto()  # greeting, EHLO, STARTTLS
    AUTH = auto()
    MAIL = auto()
    RCPT = auto()
    DATA = auto()
    CONTENT = auto()


class Row(NamedTuple):
    """`codes` and `enhanced` are shell patterns; `*` as enhanced code also fits a reply without one."""

    codes: str
    enhanced: str
    stages: frozenset[Stage]
    outcome: Outcome

    def fits(self, stage: Stage, code: int, enhanced: str) -> bool:
        """Whether this row speaks of such a reply."""
        if stage not in self.stages or not fnmatchcase(str(code), self.codes):
            return False
        return self.enhanced == "*" or fnmatchcase(enhanced, self.enhanced)


ANY = frozenset(Stage)
LETTER = frozenset((Stage.MAIL, Stage.RCPT, Stage.DATA, Stage.CONTENT))
OPENING = frozenset((Stage.CONNECT, Stage.AUTH))
LOGIN = frozenset((Stage.AUTH, Stage.MAIL, Stage.RCPT))
PERSON = frozenset((Stage.RCPT, Stage.CONTENT))  # a relay may judge the recipient only after the content
AT_RCPT = frozenset((Stage.RCPT,))
AT_CONTENT = frozenset((Stage.CONTENT,))

GREYLIST_SECONDS = 300.0  # greylists open after 5 to 15 minutes
MAILBOX_SECONDS = 900.0
FULL_SECONDS = 3600.0
ROUTE_SECONDS = 300.0  # Postfix's own first retry

_UNAUTHENTICATED = Unreachable(reason="sender_not_authenticated", park=True)
_REFUSED_LOGIN = Unreachable(reason="relay_refused_login", park=True)
_RATE = Throttled(reason="rate_or_reputation", lane_wide=True)
_BUSY = Throttled(reason="relay_busy", lane_wide=True)
_GONE = Rejected(reason="no_such_mailbox", endpoint_gone=True)
_FULL = Rejected(reason="mailbox_full")
_POLICY = Rejected(reason="policy", our_fault=True)
_TOO_BIG = Rejected(reason="too_big", our_fault=True)

TABLE: tuple[Row, ...] = (
    Row("2??", "*", AT_CONTENT, ACCEPTED),
    # SPF, DKIM or DMARC is missing: nobody's address is at fault, and going on only hurts
    Row("4??", "4.7.32", ANY, _UNAUTHENTICATED),
    Row("5??", "5.7.26", ANY, _UNAUTHENTICATED),
    Row("5??", "5.7.515", ANY, _UNAUTHENTICATED),
    # our login at the relay
    Row("53[0458]", "*", LOGIN, _REFUSED_LOGIN),
    Row("5??", "*", frozenset((Stage.AUTH,)), _REFUSED_LOGIN),
    Row("4??", "*", frozenset((Stage.AUTH,)), Unreachable(reason="relay_login_unavailable")),
    # the relay hangs up or has too much
    Row("421", "4.7.*", ANY, _RATE),
    Row("421", "*", ANY, Throttled(reason="relay_closing", lane_wide=True)),
    Row("4??", "*", OPENING, _BUSY),
    Row("5??", "*", OPENING, Unreachable(reason="relay_refuses_us")),
    Row("4??", "4.7.1", AT_RCPT, Throttled(reason="greylisted", lane_wide=False, retry_after_seconds=GREYLIST_SECONDS)),
    Row("4??", "4.7.*", ANY, _RATE),
    # one person's mailbox, for now
    Row("4??", "4.2.1", PERSON, Throttled(reason="mailbox_busy", lane_wide=False, retry_after_seconds=MAILBOX_SECONDS)),
    Row("4??", "4.2.2", PERSON, Throttled(reason="mailbox_full", lane_wide=False, retry_after_seconds=FULL_SECONDS)),
    Row("4??", "4.5.3", LETTER, Throttled(reason="too_many_recipients", lane_wide=False)),
    # the receiving domain's trouble at RCPT, the relay's own elsewhere
    Row("4??", "4.4.*", AT_RCPT, Throttled(reason="no_route", lane_wide=False, retry_after_seconds=ROUTE_SECONDS)),
    Row("4??", "4.[34].*", LETTER, _BUSY),
    Row("4??", "*", AT_RCPT, Throttled(reason="greylisted", lane_wide=False, retry_after_seconds=GREYLIST_SECONDS)),
    Row("4??", "*", AT_CONTENT, Throttled(reason="message_deferred", lane_wide=False)),
    Row("4??", "*", LETTER, _BUSY),
    # one person's mailbox, for good
    Row("5??", "5.1.[1236]", PERSON, _GONE),
    Row("5??", "5.1.10", PERSON, _GONE),  # null MX (RFC 7505)
    Row("5??", "5.4.4", PERSON, _GONE),
    Row("5??", "5.2.1", PERSON, Rejected(reason="mailbox_disabled")),
    Row("5??", "5.2.2", PERSON, _FULL),
    Row("5??", "5.2.3", PERSON, _TOO_BIG),
    Row("5??", "5.3.4", LETTER, _TOO_BIG),
    Row("5??", "5.7.*", LETTER, _POLICY),  # spam, blocklist, policy: ambiguous, so the address stays
    Row("50?", "*", LETTER, Rejected(reason="relay_did_not_understand", our_fault=True)),
    Row("5??", "*", AT_RCPT, Rejected(reason="recipient_refused")),
    Row("552", "*", LETTER, _TOO_BIG),
    Row("5??", "*", LETTER, Rejected(reason="message_refused", our_fault=True)),
)

STRANGE = Unreachable(reason="strange_answer")
STRANGE_AFTER_DOT = Unknown(reason="strange_answer")

NO_CONNECTION = Unreachable(reason="no_connection")
LOST = Unreachable(reason="connection_lost")
LOST_AFTER_DOT = Unknown(reason="connection_lost")
NO_ANSWER = Unreachable(reason="no_answer")
NO_ANSWER_AFTER_DOT = Unknown(reason="no_answer")
OUT_OF_TIME = Throttled(reason="out_of_time", lane_wide=True, retry_after_seconds=1.0)
"""The batch's deadline passed before the letter's turn came: the relay is slower than we claim, nobody is at fault."""
NO_TLS = Unreachable(reason="starttls_not_offered", park=True)
UNTRUSTED = Unreachable(reason="tls_untrusted", park=True)
NO_LOGIN_OFFERED = Unreachable(reason="relay_offers_no_login", park=True)
BAD_ADDRESS = Rejected(reason="bad_address")
NEEDS_SMTPUTF8 = Rejected(reason="relay_lacks_smtputf8")


def outcome(stage: Stage, code: int, enhanced: str) -> Outcome:
    """Say what a reply means for the message whose stage it answers.

    Args:
        enhanced: `class.subject.detail` as the relay wrote it, or empty.
    """
    if stage is Stage.CONTENT and 200 <= code < 300:  # nearly every reply; the table's first row
        return ACCEPTED
    for row in TABLE:
        if row.fits(stage, code, enhanced):
            return row.outcome
    return STRANGE_AFTER_DOT if stage is Stage.CONTENT else STRANGE


def lost(stage: Stage, *, in_time: bool) -> Outcome:
    """The connection broke (`in_time`), or no reply came in time, while this stage waited for its reply."""
    if stage is Stage.CONTENT:
        return LOST_AFTER_DOT if in_time else NO_ANSWER_AFTER_DOT
    return LOST if in_time else NO_ANSWER
