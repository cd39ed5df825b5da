"""Requests that HTTP/2 itself calls malformed (RFC 9113 section 8.1.1). Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from channels.simulator.header_table import Field

_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")
_VALUE = re.compile(rb"(?![ \t])[^\x00\r\n]*(?<![ \t])|")
_OF_ONE_CONNECTION = {b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"}
_PSEUDO = {b":method", b":scheme", b":path", b":authority"}


def why_malformed(fields: Sequence[Field]) -> str:
    """Say what makes a request's header list malformed; empty when it is well formed."""
    seen: set[bytes] = set()
    regular = False
    for name, value in fields:
        if name.startswith(b":"):
            if regular or name in seen or name not in _PSEUDO:
                return "a pseudo-header is late, repeated or unknown"
            seen.add(name)
            continue
        regular = True
        if not _NAME.fullmatch(name):
            return "a header name has upper case or forbidden characters"
        if name in _OF_ONE_CONNECTION or (name == b"te" and value != b"trailers"):
            return "a header that belongs to one HTTP/1.1 connection"
        if not _VALUE.fullmatch(value):
            return "a header value has forbidden characters"
    if not {b":method", b":scheme", b":path"} <= seen or (b":path", b"") in fields:
        return "one of :method, :scheme, :path is missing"
    return ""
