"""Names of the inbox's keys. The hash tag is the group, so that a script's keys share a slot.

{i3}:clock      the arrival that was given last in group 3; it only rises
{i3}:p:12345    the packed list of person 12345: 16 bytes an item, see `packing`
{i3}:s:48       the shelf of block 48: 48 bytes an entry
inbox:live      the channel of live hints
"""

from __future__ import annotations

from engine.records.inbox import INBOX_GROUPS

LIVE_CHANNEL = "inbox:live"


def group_of_block(block: int) -> int:
    return block % INBOX_GROUPS


def group_of(number: int) -> int:
    return (number >> 8) % INBOX_GROUPS


def clock(group: int) -> str:
    return f"{{i{group}}}:clock"


def person(number: int) -> str:
    return f"{{i{group_of(number)}}}:p:{number}"


def shelf(block: int) -> str:
    return f"{{i{group_of_block(block)}}}:s:{block}"
