"""An inbox item as an app reads it, in a list (JSON) or live (a Server-Sent Events frame). Pure.

The inbox is behind a login, so sensitive items are shown in full here, and only here.
A frame's `id:` is `<arrival ms>-<event>`; sent back as Last-Event-ID, it resumes right behind that item.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

import msgspec

from engine.records.event import Event, event_number, public_id
from engine.records.family import Family
from engine.records.inbox import InboxItem
from engine.records.placeholder import filled
from engine.records.words import Category, Language
from engine.rules.children import phrase

_CURSOR = re.compile(r"([0-9]{1,15})-(e[0-9a-z]{13})")
HEARTBEAT = b":\n\n"
STREAM_BEGIN = b"retry: 3000\n\n"  # milliseconds before an app connects again
_JSON = msgspec.json.Encoder()


class ItemDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One item; `at` is its arrival (RFC 3339, UTC), `state` new, seen, read or archived."""

    event: str
    title: str
    body: str
    sender: str | None
    link: str | None
    category: Category
    at: str
    state: str


class ListDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the inbox, newest first; `next` is the `before` of the next page, null on the last one."""

    items: list[ItemDocument]
    unread: int
    next: str | None


def document(event: Event, language: Language, item: InboxItem, family: Family | None = None) -> ItemDocument:
    """Word an item for one reader; `family` is asked for only where the event's text holds `{children}`."""
    text = event.text(language)
    title, body = text.title, text.body
    if event.names_children:
        children = phrase(event, family, language)
        title, body = filled(title, children), filled(body, children)
    moment = datetime.fromtimestamp(item.arrival_ms / 1000, UTC).isoformat(timespec="milliseconds")
    return ItemDocument(
        event=event.public_id,
        title=title,
        body=body,
        sender=event.content.sender,
        link=event.content.link,
        category=event.category,
        at=moment.replace("+00:00", "Z"),
        state=item.state.name.lower(),
    )


def cursor(item: InboxItem) -> str:
    """Name an item's place in its person's inbox."""
    return f"{item.arrival_ms}-{public_id(item.event)}"


def arrival_of(spelled: str) -> int | None:
    """The arrival in a cursor or Last-Event-ID; None when it is not one of ours."""
    match = _CURSOR.fullmatch(spelled)
    return int(match[1]) if match and event_number(match[2]) is not None else None


def item_frame(event: Event, language: Language, item: InboxItem, family: Family | None = None) -> bytes:
    """The frame of an item. JSON holds no raw line end, so the data is one line."""
    data = _JSON.encode(document(event, language, item, family))
    return b"id: %b\nevent: item\ndata: %b\n\n" % (cursor(item).encode(), data)


def withdrawn_frame(event: int) -> bytes:
    """The frame that takes an item away. It has no id: it moves nobody's place in the stream."""
    return b'event: withdrawn\ndata: {"event":"%b"}\n\n' % public_id(event).encode()
