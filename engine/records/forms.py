r"""The forms that short texts must have: a pattern for the machine, a sentence for people.

Whoever refuses a text shows the sentence, after "must be": a pattern is no answer to give to a person.
Patterns end in `$(?!\n)`, since Python's `$` also matches before a last line feed, which would end up in a header or
a key.
"""

from __future__ import annotations

import re

from msgspec import Meta

_SENTENCES: dict[str, str] = {}


def form(pattern: str, sentence: str, *, min_length: int | None = None, max_length: int | None = None) -> Meta:
    """A constraint on a text; `sentence` goes on after "must be" and stands in the OpenAPI document too."""
    _SENTENCES[pattern] = sentence
    return Meta(pattern=pattern, min_length=min_length, max_length=max_length, description=sentence)


def sentence_of(pattern: str) -> str:
    """What a text of this form must be, in words."""
    return _SENTENCES.get(pattern) or f"of the form {pattern.replace(END, '$')}"


def sentence_in(refusal: str) -> str | None:
    """The sentence of the pattern that msgspec names in its refusal; None where it names none of ours."""
    for pattern, sentence in _SENTENCES.items():
        if pattern.replace("\\", "\\\\") in refusal:
            return sentence
    return None


END = r"$(?!\n)"

_BLANK = r"\s\u200b-\u200d\u2060\ufeff"
VISIBLE = f"(?=[{_BLANK}]*[^{_BLANK}])"  # a title of blanks or zero-width marks rings for nothing
READABLE = re.compile(f"[^{_BLANK}]")
LINE_LETTER = r"[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]"  # no line breaks (header injection), no bidi marks
ONE_LINE = (
    "one line with something to read: no line breaks, control characters or marks that turn the writing direction"
)
