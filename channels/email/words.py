"""Cleans what people wrote. Nothing is judged here, only made to fit: one line, or lines."""

from __future__ import annotations

import re

# Everything that some reader takes for the end of a line: CR LF, VT, FF, FS..US, NEL, LINE and PARAGRAPH SEPARATOR
_BREAK = re.compile("\r\n|[\n\r\x0b\x0c\x1c-\x1f\x85\u2028\u2029]")
# Control characters (tab is kept in texts), invisible direction overrides (they disguise links), lone surrogates
_CONTROL = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_SPACES = re.compile(r"[ \t]+")


def lines(text: str) -> str:
    """Keep the lines, end each with `\\n`, drop control characters and the blank ends."""
    text = _BREAK.sub("\n", text)
    return _SURROGATE.sub("\ufffd", _CONTROL.sub("", text)).strip(" \t\n")


def line(text: str) -> str:
    """Make one line of it: every kind of line break and run of blanks becomes one space."""
    return _SPACES.sub(" ", lines(text).replace("\n", " ")).strip(" ")


def paragraphs(text: str) -> list[list[str]]:
    """Cut a cleaned text at its empty lines; each paragraph is a list of lines."""
    found: list[list[str]] = [[]]
    for row in text.split("\n"):
        if row.strip():
            found[-1].append(row)
        elif found[-1]:
            found.append([])
    return [paragraph for paragraph in found if paragraph]
