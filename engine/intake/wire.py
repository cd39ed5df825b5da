r"""What comes in and what goes out, as msgspec structs. The OpenAPI document is made from these.

Everything that comes in refuses unknown fields by name: a typo in `urgency` must not pass as the default.
Texts have forms (`engine.records.forms`): a pattern, and the sentence that a refusal shows.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from engine.records.forms import LINE_LETTER, ONE_LINE, VISIBLE, form
from engine.records.person import (
    Email,
    Guardians,
    Id,
    MunicipalityCode,
    Name,
    Profiles,
    Quiet,
    Tenant,
    Token,
    Wire,
)
from engine.records.words import Category, Channel, Language, Role, Urgency

RECIPIENT_IDS_MAX = 2_000
TERMS_MAX = 100
ICALENDAR_CHARACTERS_MAX = 65_536

_VISIBLE_ASCII = r"^[\x21-\x7e]+$(?!\n)"
_DATE = r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_TIME = r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?"
_OFFSET = r"(Z|[+\-]([01][0-9]|2[0-3]):[0-5][0-9])"
_HOST = r"[A-Za-z0-9]([A-Za-z0-9.\-]*[A-Za-z0-9])?(:[0-9]{1,5})?"
_ADDRESS_LETTER = r"[\x21-\x5b\x5d-\x7e]"  # no backslash: browsers read it as a slash
Key = Annotated[str, form(_VISIBLE_ASCII, "visible ASCII characters, without blanks", min_length=1, max_length=255)]
Instant = Annotated[
    str,
    form(
        rf"^{_DATE}T{_TIME}{_OFFSET}$(?!\n)",
        "a time with seconds and an offset, as 2026-11-30T08:00:00+01:00",
        max_length=40,
    ),
]
"""RFC 3339 with seconds and an offset, as `2026-11-30T08:00:00+01:00`."""
Moment = Annotated[
    str,
    form(
        rf"^{_DATE}(T{_TIME}{_OFFSET}?)?$(?!\n)",
        "a date, or a time with seconds, as 2026-11-30, 2026-11-30T08:00:00 or 2026-11-30T08:00:00+01:00",
        max_length=40,
    ),
]
"""An instant, a local time in the entry's time zone, or a date for an entry of whole days."""
Title = Annotated[str, form(rf"^{VISIBLE}{LINE_LETTER}*$(?!\n)", ONE_LINE, min_length=1, max_length=200)]
Line = Title
Body = Annotated[
    str,
    Meta(
        description="text with something to read, and no control characters but line breaks and tabs",
        min_length=1,
        max_length=10_000,
    ),
]
"""Without a pattern, which cost a microsecond: `strict_json` refuses control characters, `admission` blank bodies."""
Uid = Annotated[str, form(rf"^{VISIBLE}{LINE_LETTER}+$(?!\n)", ONE_LINE, min_length=1, max_length=255)]
Link = Annotated[
    str,
    form(
        rf"^(https://{_HOST}(?=[/?#]|$)|/(?![/\\])){_ADDRESS_LETTER}*$(?!\n)",
        "an address on the web, as https://skole.example/messages/1, or a path in the app, as /messages/1",
        max_length=2_000,
    ),
]
Ids = Annotated[tuple[Id, ...], Meta(min_length=1, max_length=RECIPIENT_IDS_MAX)]


class TermIn(Wire, frozen=True):
    """One term of an audience: exactly one of people, guardians_of, group, institution, municipality, everyone."""

    people: Ids | None = None
    guardians_of: Ids | None = None
    group: Id | None = None
    institution: Id | None = None
    municipality: MunicipalityCode | None = None
    everyone: bool | None = None  # only true: `scoping.term_faults` says so
    role: Role | None = None


class AudienceIn(Wire, frozen=True):
    """Who an event is for: the union of `include` minus the union of `exclude`, each person once."""

    include: Annotated[tuple[TermIn, ...], Meta(min_length=1, max_length=TERMS_MAX)]
    exclude: Annotated[tuple[TermIn, ...], Meta(max_length=TERMS_MAX)] = ()


class TextIn(Wire, frozen=True):
    title: Title
    body: Body


class TextsIn(Wire, frozen=True):
    """Danish is required; who reads English gets Danish where English is missing."""

    da: TextIn
    en: TextIn | None = None


class EntryIn(Wire, frozen=True):
    """A calendar entry. A `start` without offset is local time in `timezone`; a date makes an entry of whole days.

    `end` is the first moment after the entry; a whole-day entry without `end` lasts one day.
    """

    uid: Uid
    start: Moment
    summary: Title
    sequence: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 0
    end: Moment | None = None
    timezone: Annotated[str, Meta(min_length=1, max_length=64)] = "Europe/Copenhagen"
    location: Line | None = None
    recurrence_id: Moment | None = None
    recurrence_rule: (
        Annotated[
            str,
            form(
                r"^[A-Z0-9;=,+\-]+$(?!\n)",
                "a recurrence rule of RFC 5545, as FREQ=WEEKLY;COUNT=10",
                min_length=1,
                max_length=500,
            ),
        ]
        | None
    ) = None


class MessageData(Wire, frozen=True):
    """What a message event asks for."""

    audience: AudienceIn
    texts: TextsIn
    category: Category = Category.MESSAGE
    urgency: Urgency = Urgency.NORMAL
    sensitive: bool = False
    expires: Instant | None = None
    sender: Line | None = None
    thread: Line | None = None
    link: Link | None = None
    roles: Annotated[tuple[Role, ...], Meta(max_length=len(Role))] = ()


class CalendarData(Wire, frozen=True):
    """What a calendar event asks for. Exactly one of `calendar` and `icalendar`; texts are made from it if left out."""

    audience: AudienceIn
    calendar: EntryIn | None = None
    icalendar: Annotated[str, Meta(min_length=1, max_length=ICALENDAR_CHARACTERS_MAX)] | None = None
    texts: TextsIn | None = None
    category: Category = Category.CALENDAR
    urgency: Urgency = Urgency.NORMAL
    sensitive: bool = False
    expires: Instant | None = None
    sender: Line | None = None
    thread: Line | None = None
    link: Link | None = None
    roles: Annotated[tuple[Role, ...], Meta(max_length=len(Role))] = ()


class Attributes(Wire, frozen=True):
    """The context attributes of CloudEvents 1.0 that are taken; any other extension attribute is refused by name.

    `id` and `source` together are the idempotency key. `time`, `subject`, `dataschema`, `traceparent` and
    `tracestate` are checked, not stored. `tenant` is needed where the API key speaks for several tenants.
    """

    specversion: Literal["1.0"]
    id: Key
    source: Key
    datacontenttype: (
        Annotated[
            str,
            form(r"^application/json(; ?charset=[uU][tT][fF]-8)?$(?!\n)", "application/json", max_length=100),
        ]
        | None
    ) = None
    time: Instant | None = None
    subject: Annotated[str, Meta(min_length=1, max_length=255)] | None = None
    dataschema: (
        Annotated[
            str,
            form(
                r"^[A-Za-z][A-Za-z0-9+.\-]*:[\x21-\x7e]+$(?!\n)",
                "an absolute URI, as https://skole.example/schema.json",
                max_length=2_000,
            ),
        ]
        | None
    ) = None
    traceparent: (
        Annotated[
            str,
            form(
                r"^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$(?!\n)",
                "a traceparent of W3C Trace Context, as 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            ),
        ]
        | None
    ) = None
    tracestate: Annotated[str, form(r"^[\x20-\x7e]*$(?!\n)", "ASCII characters", max_length=512)] | None = None
    tenant: Tenant | None = None


class MessageEvent(Attributes, frozen=True, kw_only=True):
    type: Literal["dk.klokke.message.v1"]
    data: MessageData


class CalendarEvent(Attributes, frozen=True, kw_only=True):
    type: Literal["dk.klokke.calendar.invited.v1", "dk.klokke.calendar.changed.v1", "dk.klokke.calendar.cancelled.v1"]
    data: CalendarData


# --- directory, inbox ------------------------------------------------------------------------------------------


class PreferencesIn(Wire, frozen=True):
    """What a person wants: replaces opt-outs and quiet hours as a whole; `language` stays when left out."""

    off: dict[Channel, tuple[Category, ...]] = msgspec.field(default_factory=dict)
    quiet: Quiet = ()
    language: Language | None = None


class GuardiansIn(Wire, frozen=True):
    guardians: Guardians


class ProfilesIn(Wire, frozen=True):
    profiles: Profiles


class EmailIn(Wire, frozen=True):
    """`null` takes the address away."""

    email: Email | None


class DeviceGone(Wire, frozen=True):
    """A device that signs out: a phone named by its token, a browser by its subscription's endpoint.

    It stands in the body, since addresses end up in log files.
    """

    token: Token | None = None
    endpoint: Annotated[str, Meta(min_length=1, max_length=2000)] | None = None


class InstitutionIn(Wire, frozen=True):
    tenant: Tenant
    name: Name
    sort: Literal["school", "daycare"] = "school"


class GroupIn(Wire, frozen=True):
    institution: Id
    name: Name


class StrategyIn(Wire, frozen=True):
    channels: Annotated[tuple[Channel, ...], Meta(max_length=len(Channel))]


class TicketIn(Wire, frozen=True):
    person: Id


# --- answers ---------------------------------------------------------------------------------------------------


class Admitted(msgspec.Struct, frozen=True):
    """The event is durable under this id; `status_url` tells how it goes."""

    id: str
    status_url: str


class AdmittedBatch(msgspec.Struct, frozen=True):
    """One entry an event, in the order of the batch."""

    results: tuple[Admitted, ...]


class ImportTaken(msgspec.Struct, frozen=True):
    taken: int
    refused: tuple[RefusedLine, ...]
    next_line: int


class RefusedLine(msgspec.Struct, frozen=True):
    line: int
    reason: str


class ImportPlace(msgspec.Struct, frozen=True):
    """Where to go on with an import; 1 for one that was never seen."""

    next_line: int


class Ticket(msgspec.Struct, frozen=True):
    """What a person's app shows the in-app gateway; `expires` is RFC 3339."""

    ticket: str
    expires: str


class Stopped(msgspec.Struct, frozen=True):
    """`stopped` is false where nothing was left to stop; `detail` says why."""

    id: str
    status_url: str
    stopped: bool
    detail: str


class Health(msgspec.Struct, frozen=True):
    status: Literal["ok"]


class ChannelReport(msgspec.Struct, frozen=True):
    """One channel of a report: people, then deliveries. `planned` = the ends and `live`.

    `held`: people for whom something waits until later: quiet hours end, or the time comes that a busy provider named.
    """

    people: int
    suppressed: dict[str, int]
    planned: int
    ends: dict[str, int]
    rejected_reasons: dict[str, int]
    retries: int
    unknown: int
    live: int
    held: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Where an event stands. `balanced`: people + suppressed = audience on every channel, no delivery counted twice."""

    id: str
    source: str
    event_id: str
    type: str
    tenant: str
    category: Category
    urgency: Urgency
    sensitive: bool
    state: str
    stop: str | None
    audience: int
    channels: dict[Channel, ChannelReport]
    balanced: bool
    admitted: str
    expires: str
    planned: str | None
    last_settled: str | None


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a person's story: what happened on this channel, when and why."""

    channel: Channel
    lane: str | None
    slot: int | None
    state: str
    reason: str
    at: str | None
    attempt: int | None


class Story(msgspec.Struct, frozen=True):
    id: str
    person: str
    steps: tuple[Step, ...]
