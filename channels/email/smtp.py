"""SMTP without sockets: replies are heard, commands come out, and each letter gets its outcome (RFC 5321).

A letter's way: MAIL, RCPT, DATA; on 354 its content and the final dot. Commands come out in groups (RFC 2920): one
letter's content and the next one's MAIL, RCPT and DATA share a group, so that a letter costs one round trip. A relay
without PIPELINING gets the same commands one by one; only the pump in `session` differs.

After a refusal RSET stands before the next letter. A relay that says 354 although it took no recipient gets an
empty message: RFC 2920, section 3.1. What is known about a letter when the connection breaks follows from what it was
waiting for: before the final dot it was surely not processed, after it nobody knows.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from channels.email import answers
from channels.email.answers import Stage
from engine.outcomes import Outcome

_REPLY_LINE = re.compile(rb"([2-5][0-9][0-9])([ -]|$)(?:([245]\.[0-9]{1,3}\.[0-9]{1,3})(?: |$))?")
REPLY_BYTES_MAX = 65_536  # RFC 5321 allows 512 a line; a long EHLO is a few hundred
_LOCAL_PART = rb"[^\x00-\x20\x7f<>@,;:\"\\()\[\]]{1,64}"
_DELIVERABLE = re.compile(_LOCAL_PART + rb"@[A-Za-z0-9](?:[A-Za-z0-9.\-]{0,251}[A-Za-z0-9])?")


class BadReply(Exception):
    """The other side does not speak SMTP. Check host and port of the relay."""


class Reply(NamedTuple):
    code: int
    enhanced: str  # `class.subject.detail`, or empty
    lines: Sequence[bytes]  # what follows the code, for EHLO and AUTH; never logged


class Letter(NamedTuple):
    """One recipient's message on its way; `place` is where its outcome goes."""

    place: int
    address: bytes
    data: bytes  # content, dot-stuffed, and the final dot
    is_second_try: bool = False


class Command(NamedTuple):
    """Bytes to send, and what the reply to them is about: a stage of a letter, or None for RSET."""

    sent: bytes
    stage: Stage | None
    letter: Letter | None


class Features(msgspec.Struct, frozen=True):
    """What a relay offers in its answer to EHLO."""

    pipelining: bool = False
    starttls: bool = False
    smtputf8: bool = False
    logins: frozenset[str] = frozenset()


def features(lines: Sequence[bytes]) -> Features:
    """Read an EHLO reply; its first line is a greeting."""
    words = [line.decode("ascii", "replace").upper().split() for line in lines[1:]]
    offered = {word[0]: frozenset(word[1:]) for word in words if word}
    return Features(
        pipelining="PIPELINING" in offered,
        starttls="STARTTLS" in offered,
        smtputf8="SMTPUTF8" in offered,
        logins=offered.get("AUTH", frozenset()),
    )


def is_deliverable(address: bytes) -> bool:
    """Whether an address may stand in RCPT TO and in a header: one plain mailbox, nothing that ends a line."""
    return _DELIVERABLE.fullmatch(address) is not None


class Replies:
    """Cuts what arrives into replies, several lines each where the relay says so."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._lines: list[bytes] = []

    def feed(self, received: bytes | bytearray) -> list[Reply]:
        """Take in bytes; return the replies that are complete now.

        Raises:
            BadReply: a line is no SMTP reply, or one is longer than any reply should be.
        """
        self._buffer += received
        if len(self._buffer) > REPLY_BYTES_MAX or len(self._lines) > 1000:
            raise BadReply("a reply is too long")
        end = self._buffer.rfind(b"\n") + 1
        if not end:
            return []
        rows = bytes(self._buffer[:end]).split(b"\n")
        del self._buffer[:end]
        return [reply for row in rows[:-1] if (reply := self._line(row.rstrip(b"\r"))) is not None]

    def _line(self, row: bytes) -> Reply | None:
        match = _REPLY_LINE.match(row)
        if match is None:
            raise BadReply("a line does not begin with a reply code")
        self._lines.append(row[4:])
        if match[2] == b"-":
            return None
        lines, self._lines = self._lines, []
        return Reply(int(match[1]), (match[3] or b"").decode(), lines)


class Dialogue:
    """The part of a session that carries letters: `group` says what to send next, `hear` takes the replies.

    Args:
        sender: the envelope sender (MAIL FROM).
        smtputf8: the relay takes addresses that are not ASCII.
    """

    def __init__(self, sender: str, *, smtputf8: bool = False) -> None:
        self._mail = f"MAIL FROM:<{sender}>\r\n".encode()
        self._mail_utf8 = f"MAIL FROM:<{sender}> SMTPUTF8\r\n".encode()
        self._smtputf8 = smtputf8
        self._awaited: deque[tuple[Stage | None, Letter | None]] = deque()
        self._unsent: deque[Command] = deque()  # of the present group; a relay without PIPELINING gets one at a time
        self._ready: Letter | None = None  # the relay said 354 to it: its content comes next
        self._refused: Letter | None = None  # the present envelope was refused; its later replies mean nothing
        self._empty_message = False
        self._reset = False
        self.is_closing = False  # the relay said 421: no further letter on this session
        self.outcomes: list[tuple[Letter, Outcome]] = []

    @property
    def is_waiting(self) -> bool:
        """Whether replies are outstanding."""
        return bool(self._awaited)

    @property
    def has_content(self) -> bool:
        """Whether a letter's content must go out before anything else can end."""
        return self._ready is not None or self._empty_message

    def takes(self, letter: Letter) -> Outcome | None:
        """None when this session can carry the letter, else why it cannot."""
        return None if self._smtputf8 or letter.address.isascii() else answers.NEEDS_SMTPUTF8

    def group(self, following: Letter | None) -> list[Command]:
        """What to send now that no reply is outstanding: what is due, then the envelope of the `following` letter."""
        commands: list[Command] = []
        if self._ready is not None:
            commands.append(Command(self._ready.data, Stage.CONTENT, self._ready))
            self._ready = None
        elif self._empty_message:
            commands.append(Command(b".\r\n", None, None))
            self._empty_message = False
        if following is not None and not self.is_closing:
            if self._reset:
                commands.append(Command(b"RSET\r\n", None, None))
                self._reset = False
            mail = self._mail if following.address.isascii() else self._mail_utf8
            commands += (
                Command(mail, Stage.MAIL, following),
                Command(b"RCPT TO:<" + following.address + b">\r\n", Stage.RCPT, following),
                Command(b"DATA\r\n", Stage.DATA, following),
            )
            self._refused = None
        self._unsent.extend(commands)
        return commands

    def sent(self, command: Command) -> None:
        """Note that a command is on its way (call it before the bytes leave: a broken write may have arrived)."""
        self._unsent.popleft()
        self._awaited.append((command.stage, command.letter))

    def hear(self, reply: Reply) -> None:
        """Take the reply to the oldest command that waits for one.

        Raises:
            BadReply: nothing waits; a relay that volunteers 421 is closing, not bad.
        """
        if reply.code == 421:
            self.is_closing = True
        if not self._awaited:
            if reply.code == 421:
                return
            raise BadReply("a reply that nobody asked for")
        stage, letter = self._awaited.popleft()
        if stage is None or letter is None:
            return
        if stage is Stage.CONTENT:
            self._end(letter, stage, reply)
        else:
            self._hear_envelope(stage, letter, reply)

    def _hear_envelope(self, stage: Stage, letter: Letter, reply: Reply) -> None:
        if letter is self._refused:
            self._empty_message = stage is Stage.DATA and reply.code == 354
        elif stage is Stage.DATA and reply.code == 354:
            self._ready = letter
        elif stage is Stage.DATA or not 200 <= reply.code < 300:
            self._refused = letter
            self._end(letter, stage, reply)

    def _end(self, letter: Letter, stage: Stage, reply: Reply) -> None:
        self.outcomes.append((letter, answers.outcome(stage, reply.code, reply.enhanced)))
        self._reset = self._reset or not (stage is Stage.CONTENT and reply.code < 300)

    def lost(self, *, in_time: bool) -> list[Letter]:
        """The session is over. Outcomes are noted for what was processed or nobody knows.

        Args:
            in_time: True when the connection broke or was closed, False when a reply stayed out too long.

        Returns:
            Letters to try once more on a new connection: the relay had seen at most their envelope, and it is
            their first try. (A relay that hung up an idle session must not cost an attempt.)
        """
        waiting = [(stage, letter) for stage, letter in self._awaited if stage is not None and letter is not None]
        waiting += [(Stage.DATA, command.letter) for command in self._unsent if command.letter is not None]
        if self._ready is not None:
            waiting.append((Stage.DATA, self._ready))
        self._awaited.clear()
        self._unsent.clear()
        self._ready = None
        noted = {self._refused.place} if self._refused is not None else set()
        untouched: list[Letter] = []
        for at, (stage, letter) in enumerate(waiting):
            if letter.place in noted:
                continue
            noted.add(letter.place)
            is_to_blame = stage is Stage.CONTENT or letter.is_second_try or (at == 0 and not in_time)
            if is_to_blame:
                self.outcomes.append((letter, answers.lost(stage, in_time=in_time)))
            else:
                untouched.append(letter)
        return untouched
