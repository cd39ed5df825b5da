"""The in-app inbox: what a person's list holds, and the live hint that something came."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from engine.records.roster import Roster


class ItemState(IntEnum):
    """How far a person has come with an item. A mark moves forward only, unless it is asked to go back."""

    NEW = 0
    SEEN = 1  # shown in a list, not opened
    READ = 2
    ARCHIVED = 3


class InboxItem(NamedTuple):
    """One item of one person's inbox.

    `arrival_ms` is the store's clock, made to rise strictly for each person, so that it orders the items and
    `after this one` is exact.
    """

    event: int
    arrival_ms: int
    state: ItemState


class InboxHint(NamedTuple):
    """Says live what was written just now. A hint may be lost; then the next one's `before_ms` shows the gap.

    `group` is one of 16 groups of people (block % 16); `before_ms` and `arrival_ms` are the clock of that group
    before and after. With `is_withdrawn` only `event` means anything.
    """

    event: int
    group: int
    before_ms: int
    arrival_ms: int
    people: Roster
    is_withdrawn: bool = False


INBOX_GROUPS = 16
