"""One SMTP session: bytes in, replies out; no sockets, no clock (RFC 5321, 2920, 3207).

`receive` runs over all whole lines of one read and answers them together, as PIPELINING wants. Stricter than most
relays, since it is here to find a client's faults: CRLF only, no commands after DATA or STARTTLS before their reply.
"""

from __future__ import annotations

from collections import deque

from channels.simulator import smtp_rules as rules
from channels.simulator.faults import CUT, GARBAGE, GARBLED, Faults, is_reset
from channels.simulator.script import Step
from channels.simulator.smtp_rules import Path, Reply
from channels.simulator.smtp_service import Smtp

_FAULTS_MAX = 50
_END = b"\r\n.\r\n"
_SEND_IT = Reply(354, "", "End with a dot")
_GROUP_TAKEN = b"".join(reply.line() for reply in (rules.SENDER_OK, rules.RECIPIENT_OK, _SEND_IT))
_TOO_EAGER = Reply(554, "5.5.0", "Synchronization error: wait for the reply")


class SmtpSession:
    """One client's connection; drive it like `Http2Connection`."""

    def __init__(self, service: Smtp, faults: Faults, *, offers_tls: bool) -> None:
        self.is_done = False
        self.wants_tls = False
        self._service, self._faults = service, faults
        self._offers_tls, self._is_tls = offers_tls, False
        self._buffer = bytearray()
        self._out: list[bytes] = [b"220 simulator.localhost ESMTP\r\n"]
        self._later: deque[tuple[float, bytes]] = deque()
        self._closing: float | None = None
        self._is_silent = False
        self._greeted = False
        self._sender: str | None = None
        self._recipients: list[str] = []
        self._reading_mail = False
        self._searched = 0
        self._faulty = 0

    def receive(self, data: bytes, now: float) -> None:
        if self.is_done or self._is_silent or self._closing is not None:
            return
        self._buffer += data
        while self._buffer and not (self.is_done or self._is_silent or self.wants_tls):
            if not (self._mail() if self._reading_mail else self._group() or self._line()):
                break
        self._hold_back(now)

    def take_output(self) -> bytes:
        data = b"".join(self._out)
        self._out.clear()
        return data

    def next_due(self) -> float | None:
        return self._later[0][0] if self._later else None

    def release(self, now: float) -> None:
        while self._later and self._later[0][0] <= now:
            self._out.append(self._later.popleft()[1])
        if self._closing is not None and not self._later:
            self.is_done = True

    def enter_step(self, step: Step | None) -> None:
        """What a step says of single recipients is drawn for each; `goaway` closes with 421."""
        if step is not None and step.goaway and self._greeted:
            self._out.append(Reply(421, "4.3.2", "Service closing").line())
            self.is_done = True

    def _hold_back(self, now: float) -> None:
        """Move replies behind the script's latency; a session that ends waits for them."""
        delay = self._faults.latency_seconds()
        if self._out and (delay > 0 or self._later):
            due = max(now + delay, self._later[-1][0] if self._later else 0.0)
            self._later.append((due, self.take_output()))
            if self.is_done:
                self.is_done, self._closing = False, due

    # --- commands ---------------------------------------------------------------------------------------------

    def _group(self) -> bool:
        """Handle MAIL, RCPT and DATA of an ordinary letter at once; False sends them command by command."""
        step = self._faults.step
        if not self._greeted or self._sender is not None or (step is not None and step.has_fates):
            return False
        found = rules.group(self._buffer, self._service.size_bytes)
        if found is None or (self._service.validating and len(self._buffer) > found[2]):
            return False
        if self._service.is_planned(found[1]):
            return False
        self._sender, recipient, length = found
        self._recipients = [recipient]
        del self._buffer[:length]
        self._out.append(_GROUP_TAKEN)
        self._reading_mail, self._searched = True, 0
        return True

    def _line(self) -> bool:
        """Handle one command line; False when none is whole yet."""
        end = self._buffer.find(b"\r\n")
        if end < 0:
            if b"\n" in self._buffer:
                end = self._buffer.find(b"\n")
                del self._buffer[: end + 1]
                self._reply(rules.BARE_LINE_END)
                return True
            if len(self._buffer) > rules.COMMAND_BYTES_MAX:
                self._reply(Reply(421, "4.5.6", "Line too long"))
                self.is_done = True
            return False
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        command = rules.split_command(line)
        self._reply(command if isinstance(command, Reply) else self._command(*command))
        return True

    def _reply(self, reply: Reply | None) -> None:
        if reply is None:
            return
        self._out.append(reply.line())
        if 500 <= reply.code <= 503:
            self._faulty += 1
        if reply.code == 421:
            self.is_done = True
        elif self._faulty > _FAULTS_MAX:
            self._out.append(Reply(421, "4.7.0", "Too many errors").line())
            self.is_done = True

    def _command(self, verb: str, rest: str) -> Reply | None:
        match verb:
            case "EHLO" | "HELO":
                return self._greet(verb, rest)
            case "MAIL":
                return self._mail_from(rest)
            case "RCPT":
                return self._rcpt_to(rest)
            case "DATA":
                return self._data(rest)
            case "RSET":
                self._forget()
                return rules.BAD_SYNTAX if rest else rules.OK
            case "NOOP":
                return rules.OK
            case "QUIT":
                self.is_done = True
                return Reply(221, "2.0.0", "Bye")
            case "STARTTLS":
                return self._starttls(rest)
            case "VRFY":
                return Reply(252, "2.1.5", "Cannot verify, will take it")
            case "HELP":
                return Reply(214, "2.0.0", "RFC 5321")
            case "EXPN" | "AUTH" | "BDAT" | "ETRN" | "TURN":
                return rules.NOT_OFFERED
            case _:
                return rules.UNKNOWN

    def _greet(self, verb: str, rest: str) -> Reply | None:
        if not rules.is_host(rest):
            return Reply(501, "5.5.4", f"Syntax: {verb} hostname")
        self._forget()
        self._greeted = True
        if verb == "HELO":
            return Reply(250, "", "simulator.localhost")
        offers = ["PIPELINING", f"SIZE {self._service.size_bytes}", "8BITMIME", "ENHANCEDSTATUSCODES"]
        if self._offers_tls and not self._is_tls:
            offers.append("STARTTLS")
        lines = ["simulator.localhost", *offers]
        marks = ["-"] * (len(lines) - 1) + [" "]
        self._out.append("".join(f"250{mark}{line}\r\n" for mark, line in zip(marks, lines, strict=True)).encode())
        return None

    def _mail_from(self, rest: str) -> Reply:
        if not self._greeted or self._sender is not None:
            return rules.BAD_SEQUENCE
        path = rules.mail_from(rest, self._service.size_bytes)
        if isinstance(path, Path):
            self._sender = path.address
            return rules.SENDER_OK
        return path

    def _rcpt_to(self, rest: str) -> Reply | None:
        if self._sender is None:
            return rules.BAD_SEQUENCE
        path = rules.rcpt_to(rest)
        if isinstance(path, Reply):
            return path
        if len(self._recipients) >= rules.RECIPIENTS_MAX:
            return rules.TOO_MANY
        fate = self._faults.draw()
        reply = self._service.recipient(path.address, fate)
        if reply.code == 0:
            if fate is CUT:
                self._out.append(b"25")
            self.is_done = fate is not None and (is_reset(fate) or fate is CUT)
            self._is_silent = not self.is_done
            return None
        if fate is GARBLED:
            self._out.append(GARBAGE + b"\r\n")
            return None
        if reply.code == 250:
            self._recipients.append(path.address)
        return reply

    def _data(self, rest: str) -> Reply:
        if rest:
            return rules.BAD_SYNTAX
        if self._sender is None:
            return rules.BAD_SEQUENCE
        if not self._recipients:
            return Reply(554, "5.5.1", "No valid recipients")
        if self._buffer and self._service.validating:
            return self._too_eager()
        self._reading_mail, self._searched = True, 0
        return _SEND_IT

    def _starttls(self, rest: str) -> Reply:
        if not self._offers_tls or self._is_tls:
            return rules.NOT_OFFERED
        if rest:
            return rules.BAD_SYNTAX
        if self._buffer:
            return self._too_eager()  # commands slipped in before TLS must never count (RFC 3207 section 5)
        self._greeted, self._is_tls, self.wants_tls = False, True, True
        self._forget()
        return Reply(220, "2.0.0", "Begin TLS")

    def _too_eager(self) -> Reply:
        self._buffer.clear()
        self.is_done = True
        return _TOO_EAGER

    # --- mail -------------------------------------------------------------------------------------------------

    def _mail(self) -> bool:
        """Take a whole mail off the buffer; False when its end has not come."""
        if self._buffer.startswith(b".\r\n"):
            end, after = 0, 3
        else:
            found = self._buffer.find(_END, max(0, self._searched - len(_END)))
            self._searched = len(self._buffer)
            if found < 0:
                if len(self._buffer) > 2 * self._service.size_bytes:
                    self._reply(Reply(421, "4.3.4", "Message far too big"))
                return False
            end, after = found + 2, found + len(_END)
        data = bytes(self._buffer[:end])
        del self._buffer[:after]
        self._reply(self._service.mail(self._recipients, data))
        self._reading_mail = False
        self._forget()
        return True

    def _forget(self) -> None:
        """The transaction is over."""
        self._sender = None
        self._recipients = []
