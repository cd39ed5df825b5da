"""From a CloudEvent to an event: defaults, expiry, entity, fingerprint, tenant and reach."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from engine.intake.admission import DAY_MS, Draft, drafted
from engine.intake.keys import Scope, Service
from engine.records.event import Event
from engine.records.words import Category, Kind, Language, Role, Urgency
from engine.rules.numbering import home_shard, propose_number
from tests.intake.conftest import NOW_MS, calendar, message
from tests.intake.test_calendar import ICS


def service(*tenants: str) -> Service:
    return Service(name="s", key_sha256="0" * 64, tenants=tenants, scopes=(Scope.EVENTS,))


def draft(raw: dict[str, Any], *tenants: str, now_ms: int = NOW_MS) -> Draft:
    made = drafted(raw, "", service(*(tenants or ("0101",))), now_ms, 7)
    assert isinstance(made, Draft), made
    return made


def event(raw: dict[str, Any], *tenants: str) -> Event:
    return draft(raw, *tenants).event


def codes(raw: dict[str, Any], *tenants: str) -> dict[str, str]:
    made = drafted(raw, "", service(*tenants), NOW_MS, 7)
    assert not isinstance(made, Draft)
    return {fault.pointer: fault.code for fault in made}


def test_defaults_of_a_message() -> None:
    made = event(message())
    assert (made.kind, made.category, made.urgency) == (Kind.MESSAGE, Category.MESSAGE, Urgency.NORMAL)
    assert (made.tenant, made.service, made.admitted_ms, made.sensitive) == ("0101", "s", NOW_MS, False)
    assert (made.entity, made.sequence, made.roles) == (None, 0, ())
    assert made.audience.include[0].role is Role.GUARDIAN
    assert made.shard == home_shard("0101", "/backend/messages", "m-1")
    assert made.number == propose_number("0101", "/backend/messages", "m-1", NOW_MS, 7)


@pytest.mark.parametrize(
    ("data", "days"),
    [
        ({}, 7),
        ({"category": "presence"}, 0.5),
        ({"category": "survey"}, 14),
        ({"category": "survey", "urgency": "urgent"}, 2),
        ({"urgency": "emergency"}, 1),
        ({"urgency": "bulk", "category": "post"}, 7),
        ({"expires": "2027-02-15T12:00:00+01:00"}, None),
    ],
)
def test_expiry_by_category_and_urgency(data: dict[str, Any], days: float | None) -> None:
    lifetime_ms = event(message(**data)).expires_ms - NOW_MS
    assert lifetime_ms == int(days * DAY_MS) if days is not None else lifetime_ms > 80 * DAY_MS


def test_an_invitation_is_over_when_its_entry_is_unless_that_repeats_or_is_past() -> None:
    entry = event(calendar())
    assert entry.content.calendar is not None
    assert entry.expires_ms == entry.content.calendar.end_ms
    assert event(calendar(recurrence_rule="FREQ=WEEKLY")).expires_ms == NOW_MS + 14 * DAY_MS
    past = event(calendar(start="2026-11-01T08:00:00", end="2026-11-01T09:00:00"))
    assert past.expires_ms == NOW_MS + 14 * DAY_MS


def test_a_calendar_event_names_its_entity_and_gets_its_texts() -> None:
    made = event(calendar(uid="a/b{c}@x", recurrence_id="2026-12-07T08:00:00", sequence=3))
    assert made.entity == "0101/calendar/a%2Fb%7Bc%7D@x/20261207T070000Z"
    assert made.content.texts[Language.DA].title == "Invitation: Skole-hjem-samtale"
    assert set(made.content.texts) == {Language.DA, Language.EN}


def test_a_cancellation_beats_an_invitation_of_the_same_sequence() -> None:
    kinds = ("invited", "cancelled")
    versions = [event(calendar(kind=kind, sequence=sequence)).sequence for sequence in (0, 1) for kind in kinds]
    assert versions == sorted(set(versions))


def test_own_texts_of_a_calendar_event_win() -> None:
    raw = calendar()
    raw["data"]["texts"] = {"da": {"title": "Kom!", "body": "Vi ses"}}
    assert event(raw).content.texts[Language.DA].title == "Kom!"


def test_an_entry_is_given_once() -> None:
    both, none = calendar(), calendar()
    both["data"]["icalendar"] = ICS
    del none["data"]["calendar"]
    assert codes(both, "0101") == codes(none, "0101") == {"/data": "one-entry"}


def test_icalendar_and_json_of_one_entry_are_the_same_request() -> None:
    text = calendar()
    del text["data"]["calendar"]
    text["data"]["icalendar"] = ICS.replace("\n", "\r\n")
    given = calendar(sequence=2, summary="Samtale, 3B", location="Lokale 12", recurrence_rule="FREQ=WEEKLY;COUNT=4")
    assert draft(text).fingerprint == draft(given).fingerprint


def test_time_and_trace_do_not_make_another_request_but_every_part_of_the_content_does() -> None:
    first = draft(message())
    later = {**message(), "time": "2026-11-18T08:00:00Z", "traceparent": f"00-{'a' * 32}-{'b' * 16}-01", "subject": "x"}
    assert draft(later, now_ms=NOW_MS + 5).fingerprint == first.fingerprint
    changes: list[dict[str, Any]] = [
        {"urgency": "urgent"}, {"category": "post"}, {"sensitive": True}, {"roles": ["staff"]}, {"sender": "x"},
        {"thread": "x"}, {"link": "/x"}, {"expires": "2026-12-01T00:00:00Z"},
        {"texts": {"da": {"title": "x", "body": "x"}}}, {"audience": {"include": [{"group": "3c"}]}},
    ]  # fmt: skip
    prints = [draft(message(**change)).fingerprint for change in changes]
    assert len({first.fingerprint, *prints}) == len(changes) + 1


@pytest.mark.parametrize(
    ("tenants", "named", "expected"),
    [
        (("0101",), None, "0101"),
        (("0101",), "0101", "0101"),
        (("0101", "0147"), "0147", "0147"),
        (("*",), "0265", "0265"),
        (("*",), "dk", "dk"),
        (("dk",), None, "dk"),
    ],
)
def test_the_tenant_comes_from_the_key(tenants: tuple[str, ...], named: str | None, expected: str) -> None:
    raw = message() if named is None else {**message(), "tenant": named}
    assert event(raw, *tenants).tenant == expected


def test_a_key_for_several_tenants_must_name_one_of_its_own() -> None:
    assert codes(message(), "0101", "0147") == {"/tenant": "missing"}
    assert codes(message(), "*") == {"/tenant": "missing"}
    assert codes({**message(), "tenant": "0265"}, "0101", "0147") == {"/tenant": "other-tenant"}


@pytest.mark.parametrize(
    ("tenants", "term", "code"),
    [
        (("0101",), {"everyone": True}, "national-only"),
        (("dk",), {"everyone": True, "role": "staff"}, None),
        (("0101",), {"municipality": "0101", "role": "guardian"}, None),
        (("0101",), {"municipality": "0147"}, "unknown-municipality"),
        (("dk",), {"municipality": "0147"}, "unknown-municipality"),
        (("0101",), {"everyone": False}, "not-allowed"),
    ],
)
def test_reach_of_a_key(tenants: tuple[str, ...], term: dict[str, Any], code: str | None) -> None:
    for side in ("include", "exclude"):
        audience = {"include": [{"group": "g"}], side: [term]}
        made = drafted(message(audience=audience), "", service(*tenants), NOW_MS, 7)
        assert [fault.code for fault in made] == [code] if not isinstance(made, Draft) else code is None


def test_a_key_for_all_tenants_reaches_everyone() -> None:
    for term in ({"everyone": True}, {"municipality": "0147"}):
        raw = {**message(audience={"include": [term]}), "tenant": "0101"}
        assert event(raw, "*").tenant == "0101"


def test_an_event_survives_the_store() -> None:
    made = event(calendar(location="Aulaen"))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(made), type=Event) == made
