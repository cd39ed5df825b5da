"""The one placeholder that a text may hold, `{children}`, and what is written in its place. Pure.

Only these ten characters are special, in title and body; every other brace stays as it was written, so that no text
is refused for its braces and none needs escaping.
"""

from __future__ import annotations

from itertools import pairwise

CHILDREN = "{children}"
_SENTENCE_ENDS = (".", "!", "?")


def parts(text: str) -> tuple[list[str], list[bool]]:
    """Cut a text at its placeholders: the pieces around them, and for each placeholder whether it opens a sentence."""
    pieces = text.split(CHILDREN)
    return pieces, [_opens(before, is_first=not at) for at, (before, _) in enumerate(pairwise(pieces))]


def _opens(before: str, *, is_first: bool) -> bool:
    bare = before.rstrip(" \t")
    if not bare:
        return is_first
    return bare.endswith("\n") or (bare != before and bare.endswith(_SENTENCE_ENDS))


def filled(text: str, children: str) -> str:
    """Write `children` in place of each placeholder, with a capital where it opens a sentence."""
    if CHILDREN not in text:
        return text
    pieces, opens = parts(text)
    written = [pieces[0]]
    for piece, is_opening in zip(pieces[1:], opens, strict=True):
        written += (capital(children) if is_opening else children, piece)
    return "".join(written)


def capital(text: str) -> str:
    """The same with a capital first letter: `dit barn` opens a sentence as `Dit barn`."""
    return text[:1].upper() + text[1:]
