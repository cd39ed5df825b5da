"""SMTP's rules for what a client may say (RFC 5321, 1870, 2920, 3463, 6152).

Pure: a line in, its meaning or a reply out. SMTPUTF8 is not offered, so addresses are ASCII.
`mail_rules` judges the mail itself.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

COMMAND_BYTES_MAX = 512 + 26
"""A command line with its CRLF; SIZE adds 26 (RFC 1870)."""
LOCAL_PART_BYTES_MAX = 64
PATH_BYTES_MAX = 256
RECIPIENTS_MAX = 1000
"""A server must take 100 (RFC 5321 section 4.5.3.1.8); this one takes a thousand."""

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-]+"
_DOMAIN = r"[A-Za-z0-9](?:[A-Za-z0-9\-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9\-]*[A-Za-z0-9])?)*"
_QUOTED = r'"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\[\x20-\x7e])*"'
_MAILBOX = re.compile(rf"(?:{_ATOM}(?:\.{_ATOM})*|{_QUOTED})@(?:{_DOMAIN}|\[[0-9A-Za-z.:\-]+\])")
_PATH = re.compile(r"<([^<>\r\n]*)>(?: (.*))?")
_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9\-]*)(?:=([\x21-\x3c\x3e-\x7e]+))?")
_GROUP = re.compile(
    rf"MAIL FROM:<((?:{_ATOM}(?:\.{_ATOM})*)@{_DOMAIN})>(?: SIZE=([0-9]{{1,12}}))?(?: BODY=8BITMIME)?\r\n"
    rf"RCPT TO:<((?:{_ATOM}(?:\.{_ATOM})*)@{_DOMAIN})>\r\nDATA\r\n".encode()
)
_HOST = re.compile(rf"(?:{_DOMAIN}|\[[0-9A-Za-z.:\-]+\])")


class Reply(NamedTuple):
    """An SMTP reply: code, enhanced status code (may be empty) and words."""

    code: int
    enhanced: str
    text: str

    def line(self) -> bytes:
        return _line(self)


@lru_cache(256)
def _line(reply: Reply) -> bytes:
    words = f"{reply.enhanced} {reply.text}" if reply.enhanced else reply.text
    return f"{reply.code} {words}\r\n".encode("ascii", "replace")


class Path(NamedTuple):
    """The address of MAIL FROM or RCPT TO, and the size a MAIL announces (0: none)."""

    address: str
    size_bytes: int = 0


OK = Reply(250, "2.0.0", "OK")
SENDER_OK = Reply(250, "2.1.0", "Sender OK")
RECIPIENT_OK = Reply(250, "2.1.5", "Recipient OK")
BAD_SYNTAX = Reply(501, "5.5.4", "Syntax error in parameters")
BAD_SEQUENCE = Reply(503, "5.5.1", "Bad sequence of commands")
UNKNOWN = Reply(500, "5.5.1", "Command not recognized")
NOT_OFFERED = Reply(502, "5.5.1", "Command not implemented")
TOO_LONG = Reply(500, "5.5.6", "Line too long")
BARE_LINE_END = Reply(500, "5.5.2", "Bare CR or LF; lines end in CRLF")
BAD_PARAMETER = Reply(555, "5.5.4", "Parameter not recognized or not offered")
TOO_MANY = Reply(452, "4.5.3", "Too many recipients")
TOO_BIG = Reply(552, "5.3.4", "Message too big")


def split_command(line: bytes) -> tuple[str, str] | Reply:
    """Split a line without its CRLF into verb (upper case) and the rest."""
    if b"\r" in line or b"\n" in line:
        return BARE_LINE_END
    if len(line) + 2 > COMMAND_BYTES_MAX:
        return TOO_LONG
    try:
        text = line.decode("ascii")
    except UnicodeDecodeError:
        return Reply(500, "5.5.2", "Commands are ASCII")
    verb, _, rest = text.partition(" ")
    return verb.upper(), rest


def is_host(text: str) -> bool:
    """Whether EHLO's argument is a domain or an address literal."""
    return bool(_HOST.fullmatch(text))


def mail_from(rest: str, size_bytes_max: int) -> Path | Reply:
    """Read what follows MAIL."""
    found = _path(rest, "FROM:")
    if found is None:
        return Reply(501, "5.5.4", "Syntax: MAIL FROM:<address>")
    address, parameters = found
    if address and not is_mailbox(address):
        return Reply(553, "5.1.7", "Bad sender address syntax")
    size = 0
    for parameter in parameters.split():
        match = _PARAMETER.fullmatch(parameter)
        key, value = (match[1].upper(), match[2] or "") if match else ("", "")
        if key == "SIZE" and value.isdigit():
            size = int(value)
        elif not (key == "BODY" and value.upper() in ("7BIT", "8BITMIME")):
            return BAD_PARAMETER
    return TOO_BIG if size > size_bytes_max else Path(address, size)


def group(buffer: bytes | bytearray, size_bytes_max: int) -> tuple[str, str, int] | None:
    """Read MAIL, RCPT and DATA at the buffer's start, for one ordinary recipient: sender, recipient, length.

    Hot: what every letter of a pipelining client begins with, in one match. None sends it command by command, which
    comes to the same.
    """
    match = _GROUP.match(buffer)
    if match is None:
        return None
    sender, size, recipient = match[1].decode(), match[2], match[3].decode()
    if (size and int(size) > size_bytes_max) or _is_long(sender) or _is_long(recipient):
        return None
    return sender, recipient, match.end()


def rcpt_to(rest: str) -> Path | Reply:
    """Read what follows RCPT."""
    found = _path(rest, "TO:")
    if found is None:
        return Reply(501, "5.5.4", "Syntax: RCPT TO:<address>")
    address, parameters = found
    if parameters:
        return BAD_PARAMETER
    return Path(address) if is_mailbox(address) else Reply(553, "5.1.3", "Bad recipient address syntax")


def is_mailbox(address: str) -> bool:
    """Whether an address is a mailbox with its domain, within SMTP's limits."""
    return not _is_long(address) and _MAILBOX.fullmatch(address) is not None


def _is_long(address: str) -> bool:
    return address.rfind("@") > LOCAL_PART_BYTES_MAX or len(address) + 2 > PATH_BYTES_MAX


def _path(rest: str, keyword: str) -> tuple[str, str] | None:
    if rest[: len(keyword)].upper() != keyword:
        return None
    match = _PATH.fullmatch(rest[len(keyword) :])
    return (match[1], match[2] or "") if match else None
