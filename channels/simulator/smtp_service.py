"""The simulated mail relay's mind: which recipients and mails it takes; keeps the ledger, one line a recipient."""

from __future__ import annotations

from collections.abc import Sequence

from channels.simulator import mail_rules
from channels.simulator.ledger import Ledger, digest, line
from channels.simulator.planned import MAIL_WORDS, Plan, Planned
from channels.simulator.service import Fate
from channels.simulator.smtp_rules import OK, RECIPIENT_OK, Reply

_BY_PLAN = {
    Plan.DEAD: Reply(550, "5.1.1", "No such user"),
    Plan.DEAD_BEFORE: Reply(550, "5.1.1", "No such user"),
    Plan.BAD: Reply(550, "5.1.3", "Bad address"),
    Plan.STRANGER: Reply(550, "5.7.1", "Refused by policy"),
    Plan.FEED: Reply(450, "4.2.1", "This mailbox gets too much mail; try later"),
    Plan.FADE: Reply(451, "4.3.0", "Try again later"),
    Plan.FULL: Reply(452, "4.2.2", "Mailbox full"),
}
SILENT = Reply(0, "Silent", "")
"""Never answer again on this connection."""


class Smtp:
    """Shared by all sessions.

    Args:
        validating: False takes every recipient and mail (accept-all), and still keeps the ledger.
    """

    def __init__(self, ledger: Ledger, *, validating: bool, size_bytes: int) -> None:
        self._ledger = ledger
        self.validating = validating
        self.size_bytes = size_bytes
        self._planned = Planned(MAIL_WORDS)
        self._now_ms = 0

    def begin(self, unix_seconds: float) -> None:
        self._now_ms = int(unix_seconds * 1000)

    def is_planned(self, address: str) -> bool:
        """Whether an address may end otherwise than by being taken; asking counts for nothing."""
        return self.validating and self._planned.has(address)

    def recipient(self, address: str, fate: Fate | None) -> Reply:
        """Take a recipient or not; a refused one is noted at once, since its mail never comes."""
        if fate is not None:
            reply = SILENT._replace(enhanced=fate.reason) if fate.status == 0 else scripted(fate)
        else:
            plan = self._planned.of(address) if self.validating else None
            reply = SILENT if plan is Plan.DEAF else RECIPIENT_OK if plan is None else _BY_PLAN[plan]
        if reply.code != 250:
            self._note(reply, address, mail_rules.Mail(""))
        return reply

    def mail(self, recipients: Sequence[str], data: bytes) -> Reply:
        """Take a mail or not; `data` is still dot-stuffed."""
        reply = OK
        if self.validating:
            line_fault, mail = mail_rules.judge(data)
            fault = line_fault or mail.fault
            if len(data) > self.size_bytes:
                reply = Reply(552, "5.3.4", "Message too big")
            elif fault:
                reply = Reply(554, "5.6.0", f"Refused: {fault}")
        else:
            mail = mail_rules.note(data) if self._ledger.is_kept else mail_rules.Mail("")
        for address in recipients:
            self._note(reply, address, mail)
        return reply

    def _note(self, reply: Reply, address: str, mail: mail_rules.Mail) -> None:
        if not self._ledger.is_kept:
            return
        self._ledger.note(
            line(
                self._now_ms,
                b"smtp",
                reply.code,
                b"" if reply.code == 250 else reply.enhanced.encode(),
                address.encode(),
                mail.message_id.encode(),
                mail.event.encode(),
                b"",
                digest(mail.subject),
            )
        )


def scripted(fate: Fate) -> Reply:
    """A script's answer as a reply: `reason` is an enhanced code, and words if it wants."""
    enhanced, _, text = fate.reason.partition(" ")
    return Reply(fate.status, enhanced or f"{fate.status // 100}.3.0", text or "Scripted")
