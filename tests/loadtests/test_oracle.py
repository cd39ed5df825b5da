"""The oracle finds each kind of fault that is planted into ledgers, and none where there is none."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from channels import notification
from channels.email.phrases import PHRASES
from engine.records.words import Language
from loadtests.oracle import posted
from loadtests.oracle.comparison import LATE_MS, Comparison, Fault
from loadtests.oracle.ledger import COLUMNS, LedgerUnreadable
from loadtests.oracle.posted import Posted, replaced_ms
from loadtests.oracle.quiet import Quiet, is_quiet, quiet_between
from loadtests.oracle.verify import Expectations, Sample, compare, expectations
from loadtests.oracle.wording import NEUTRAL, digest

NOON_MS = int(datetime(2026, 3, 4, 12, 0, tzinfo=ZoneInfo("Europe/Copenhagen")).timestamp() * 1000)  # a Wednesday
NIGHT_MS = NOON_MS + 11 * 3_600_000
ALL = ["message", "calendar", "post", "presence", "survey", "announcement"]
EVERY_NIGHT = {"days": [0, 1, 2, 3, 4, 5, 6], "from": "21:00", "until": "06:30"}
TEXTS = {"da": {"title": "Tur", "body": "Husk madpakke"}, "en": {"title": "Trip", "body": "Bring lunch"}}
DANISH, ENGLISH = digest("Tur\nHusk madpakke"), digest("Trip\nBring lunch")

PEOPLE: list[dict[str, Any]] = [
    {"kind": "institution", "id": "i-1", "tenant": "0101", "name": "Skolen"},
    {"kind": "institution", "id": "i-2", "tenant": "0751", "name": "Huset"},
    {"kind": "group", "id": "g-3b", "institution": "i-1", "name": "3.B"},
    {"kind": "group", "id": "g-blue", "institution": "i-2", "name": "Blå"},
    {"kind": "strategy", "tenant": "0751", "category": "post", "channels": ["inapp"]},
    {"kind": "person", "id": "mother", "tenant": "0101", "email": "mother@mail.example",
     "devices": [{"platform": "ios", "app": "parent", "token": "1" * 64}], "off": {"email": ALL}},
    {"kind": "person", "id": "father", "tenant": "0101", "email": "father@mail.example", "language": "en",
     "devices": [{"platform": "ios", "app": "parent", "token": "2" * 64},
                 {"platform": "android", "app": "parent", "token": "3android" * 8}]},
    {"kind": "person", "id": "child", "tenant": "0101", "guardians": ["mother", "father"],
     "profiles": [{"institution": "i-1", "role": "pupil", "groups": ["g-3b"]}]},
    {"kind": "person", "id": "sleeper", "tenant": "0101", "quiet": [EVERY_NIGHT],
     "devices": [{"platform": "ios", "app": "parent", "token": "4" * 64}]},
    {"kind": "person", "id": "gone-phone", "tenant": "0101",
     "devices": [{"platform": "ios", "app": "parent", "token": "dead" + "5" * 60}]},
    {"kind": "person", "id": "second", "tenant": "0101", "guardians": ["sleeper", "gone-phone"],
     "profiles": [{"institution": "i-1", "role": "pupil", "groups": ["g-3b"]}]},
    {"kind": "person", "id": "teacher", "tenant": "0751", "email": "teacher@mail.example",
     "devices": [{"platform": "android", "app": "staff", "token": "6android" * 8}],
     "profiles": [{"institution": "i-2", "role": "staff", "groups": ["g-blue"]}]},
]  # fmt: skip

GUARDIANS_OF_3B = {"include": [{"group": "g-3b", "role": "guardian"}]}


def event(id: str = "e1", at_ms: int = NOON_MS, tenant: str = "0101", type: str = "message", **data: Any) -> Posted:
    body = {"audience": GUARDIANS_OF_3B, "texts": TEXTS, **data}
    return Posted(id, at_ms, {"type": f"dk.klokke.{type}.v1", "tenant": tenant, "data": body})


def people_file(folder: Path, people: list[dict[str, Any]] | None = None) -> Path:
    path = folder / "people.ndjson"
    lines = [json.dumps(one, separators=(",", ":"), ensure_ascii=False) for one in people or PEOPLE]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def row(address: str, text: str, *, event: str = "e1", at_ms: int = NOON_MS, status: int = 200, n: int = 1) -> str:
    provider = "smtp" if "@" in address else "fcm" if "android" in address else "apns"
    code = {200: 250}.get(status, status) if provider == "smtp" else status
    return f"{at_ms}\t{provider}\t{code}\t\t{address}\tdelivery-{address}-{n}\t{event}\t\t{text}\n"


RIGHT = [
    row("1" * 64, DANISH),
    row("2" * 64, ENGLISH),
    row("3android" * 8, ENGLISH),
    row("father@mail.example", digest("Trip")),
    row("4" * 64, DANISH),
    row("dead" + "5" * 60, DANISH, status=410),
]


def ledger(folder: Path, rows: list[str]) -> Path:
    path = folder / "ledger.tsv"
    path.write_text("#" + "\t".join(COLUMNS) + "\n" + "".join(rows), "utf-8")
    return path


def expected(folder: Path, events: list[Posted], *, seen_ms: int | None = None) -> Expectations:
    return expectations(people_file(folder), events, seen_ms=seen_ms or events[-1].posted_ms + 1000)


def check(folder: Path, rows: list[str], *events: Posted, seen_ms: int | None = None) -> Comparison:
    return compare(expected(folder, list(events or (event(),)), seen_ms=seen_ms), [ledger(folder, rows)])


def faults(comparison: Comparison) -> dict[str, int]:
    return {fault.value: count for fault in Fault if (count := comparison.count(fault))}


def test_what_must_happen_and_nothing_else_is_no_fault(tmp_path: Path) -> None:
    comparison = check(tmp_path, RIGHT)
    assert faults(comparison) == {}
    assert comparison.repeated_lines().total() == 0
    assert comparison.received == {("e1", "push"): 4, ("e1", "email"): 1}
    tally = comparison.tally("e1", "push")
    assert (tally.audience, tally.people, tally.deliveries, tally.dead, tally.dead_people) == (4, 4, 5, 1, 1)


def test_it_is_known_when_most_of_an_event_had_arrived(tmp_path: Path) -> None:
    rows = [row("1" * 64, DANISH, at_ms=NOON_MS + 100 * tenth) for tenth in range(100)]
    comparison = check(tmp_path, rows)
    assert comparison.arrived_ms("e1", 0.5) == NOON_MS + 5_000
    assert comparison.arrived_ms("e1", 1.0) == comparison.last_ms["e1"] + 100 == NOON_MS + 10_000
    assert comparison.arrived_ms("e2", 0.99) is None


def test_suppressions_are_counted_by_the_first_rule_that_says_no(tmp_path: Path) -> None:
    comparison = check(tmp_path, RIGHT)
    assert dict(comparison.suppressed) == {("e1", "email", "opted_out"): 1, ("e1", "email", "no_endpoint"): 2}


PLANTED: list[tuple[str, list[str], dict[str, int], str]] = [
    ("a push is missing", RIGHT[1:], {"lost": 1}, "mother"),
    ("a mail is missing", [*RIGHT[:3], *RIGHT[4:]], {"lost": 1}, "father"),
    ("one of two devices is missing", [RIGHT[0], *RIGHT[2:]], {"lost": 1}, "father"),
    ("a dead device was never tried", RIGHT[:-1], {"lost": 1}, "gone-phone"),
    ("a push came twice", [*RIGHT, RIGHT[0]], {"duplicate": 1}, "mother"),
    ("a mail came three times", [*RIGHT, RIGHT[3], RIGHT[3]], {"duplicate": 2}, "father"),
    ("mail to who wants none", [*RIGHT, row("mother@mail.example", digest("Tur"))], {"unexpected": 1}, "mother"),
    ("the other language", [row("1" * 64, ENGLISH), *RIGHT[1:]], {"wrong_text": 1}, "mother"),
    (
        "another municipality",
        [*RIGHT, row("6android" * 8, DANISH)],
        {"unexpected": 1, "wrong_tenant": 1},
        "teacher",
    ),
    ("nobody's address", [*RIGHT, row("9" * 64, DANISH)], {"unexpected": 1}, "an address nobody has"),
    ("a dead device took it", [*RIGHT, row("dead" + "5" * 60, DANISH)], {"unexpected": 1}, "gone-phone"),
]  # fmt: skip


@pytest.mark.parametrize(("planted", "rows", "found", "person"), PLANTED, ids=[one[0] for one in PLANTED])
def test_a_planted_fault_is_found(
    tmp_path: Path, planted: str, rows: list[str], found: dict[str, int], person: str
) -> None:
    comparison = check(tmp_path, rows)
    assert faults(comparison) == found
    assert {finding.person for examples in comparison.examples.values() for finding in examples} == {person}


def test_an_address_refused_first_and_accepted_later_is_no_duplicate(tmp_path: Path) -> None:
    assert faults(check(tmp_path, [row("1" * 64, DANISH, status=503), *RIGHT])) == {}


def test_quiet_people_are_not_yet_expected_and_may_not_be_reached(tmp_path: Path) -> None:
    at_night = event(at_ms=NIGHT_MS)
    awake = [one for one in RIGHT if "4" * 64 not in one]
    assert faults(check(tmp_path, awake, at_night)) == {}
    assert faults(check(tmp_path, RIGHT, at_night)) == {"unexpected": 1}
    assert expected(tmp_path, [at_night]).comparison.tally("e1", "push").held == 1


def test_an_emergency_wakes_the_quiet_and_passes_opt_outs(tmp_path: Path) -> None:
    emergency = event(at_ms=NIGHT_MS, urgency="emergency")
    assert faults(check(tmp_path, RIGHT, emergency)) == {"lost": 1}  # mother's e-mail is off, now it counts
    assert faults(check(tmp_path, [*RIGHT, row("mother@mail.example", digest("Tur"))], emergency)) == {}


def test_both_outcomes_are_right_when_quiet_hours_begin_meanwhile(tmp_path: Path) -> None:
    evening_ms = NOON_MS + 9 * 3_600_000 - 60_000
    for rows in (RIGHT, [one for one in RIGHT if "4" * 64 not in one]):
        assert faults(check(tmp_path, rows, event(at_ms=evening_ms), seen_ms=evening_ms + 120_000)) == {}


@pytest.mark.parametrize("channel", ["push", "email"])
def test_a_sensitive_event_carries_neutral_words_outside_the_inbox(tmp_path: Path, channel: str) -> None:
    assert check(tmp_path, RIGHT, event(sensitive=True)).count(Fault.WRONG_TEXT, "e1", channel) > 0
    neutral = {lang: digest("\n".join(NEUTRAL["push"][lang])) for lang in ("da", "en")}
    rows = [one.replace(DANISH, neutral["da"]).replace(ENGLISH, neutral["en"]) for one in RIGHT]
    rows[3] = row("father@mail.example", digest(NEUTRAL["email"]["en"][0]))
    assert faults(check(tmp_path, rows, event(sensitive=True))) == {}


@pytest.mark.parametrize("language", list(Language))
def test_the_oracle_knows_the_neutral_words_by_heart(language: Language) -> None:
    push = notification.NEUTRAL[language]
    assert NEUTRAL["push"][language] == (push.title, push.body)
    assert NEUTRAL["email"][language][0] == PHRASES[language].neutral_subject


def test_a_municipality_without_push_for_a_category_suppresses_it(tmp_path: Path) -> None:
    there = event(tenant="0751", category="post", audience={"include": [{"institution": "i-2"}]})
    comparison = check(tmp_path, [], there)
    assert faults(comparison) == {}
    assert comparison.suppressed == {("e1", "push", "strategy"): 1, ("e1", "email", "strategy"): 1}


def test_named_roles_suppress_the_others(tmp_path: Path) -> None:
    comparison = check(tmp_path, [], event(audience={"include": [{"institution": "i-2"}]}, roles=["guardian"]))
    assert comparison.suppressed == {("e1", channel, "role"): 1 for channel in ("push", "email", "inapp")}


AUDIENCES: list[tuple[dict[str, Any], set[str]]] = [
    ({"include": [{"group": "g-3b"}]}, {"mother", "father", "child", "sleeper", "gone-phone", "second"}),
    ({"include": [{"group": "g-3b", "role": "pupil"}]}, {"child", "second"}),
    ({"include": [{"guardians_of": ["child"]}]}, {"mother", "father"}),
    ({"include": [{"people": ["teacher", "child"]}]}, {"teacher", "child"}),
    ({"include": [{"municipality": "0751"}]}, {"teacher"}),
    ({"include": [{"everyone": True, "role": "staff"}]}, {"teacher"}),
    ({"include": [{"everyone": True}], "exclude": [{"municipality": "0101"}]}, {"teacher"}),
    ({"include": [{"institution": "i-1"}], "exclude": [{"people": ["mother"]}, {"group": "g-3b", "role": "pupil"}]},
     {"father", "sleeper", "gone-phone"}),
]  # fmt: skip


@pytest.mark.parametrize(("audience", "meant"), AUDIENCES)
def test_audiences_mean_whom_they_say(tmp_path: Path, audience: dict[str, Any], meant: set[str]) -> None:
    inboxes = expected(tmp_path, [event(audience=audience)]).inboxes
    assert {inbox.person for inbox in inboxes if inbox.must} == meant


def invitation(id: str, sequence: int, at_ms: int, kind: str) -> Posted:
    text = f"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:meeting-1@\r\n school\r\nSEQUENCE:{sequence}\r\nEND:VEVENT\r\n"
    return event(id, at_ms, type=f"calendar.{kind}", icalendar=text)


def test_a_newer_version_makes_the_older_one_optional_and_then_forbidden(tmp_path: Path) -> None:
    old, new = invitation("e1", 0, NOON_MS, "invited"), invitation("e2", 1, NOON_MS + 500, "changed")
    assert old.entry == ("0101", "meeting-1@school", "", 0)
    assert replaced_ms(old, [old, new]) == new.posted_ms
    assert replaced_ms(new, [old, new]) is None
    newer = [one.replace("\te1\t", "\te2\t") for one in RIGHT]
    assert faults(check(tmp_path, newer, old, new)) == {}
    assert faults(check(tmp_path, [*RIGHT[:2], *newer], old, new)) == {}
    late = row("1" * 64, DANISH, at_ms=new.posted_ms + LATE_MS + 1)
    assert faults(check(tmp_path, [late, *newer], old, new)) == {"late": 1}


def test_events_that_are_not_ours_are_counted_apart(tmp_path: Path) -> None:
    comparison = check(tmp_path, [*RIGHT, row("1" * 64, DANISH, event="e9")])
    assert faults(comparison) == {}
    assert comparison.foreign_lines == 1


def test_a_line_that_is_still_being_written_is_left_out(tmp_path: Path) -> None:
    path = ledger(tmp_path, [*RIGHT, RIGHT[0][:-5]])
    assert faults(compare(expected(tmp_path, [event()]), [path])) == {}


@pytest.mark.parametrize("text", ["", "a\tb\n", "#" + "\t".join(COLUMNS) + "\na\tb\n"])
def test_a_ledger_of_another_shape_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "ledger.tsv"
    path.write_text(text)
    with pytest.raises(LedgerUnreadable, match=r"ledger\.tsv"):
        compare(expected(tmp_path, [event()]), [path])


def test_a_missing_ledger_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(LedgerUnreadable, match="cannot be read"):
        compare(expected(tmp_path, [event()]), [tmp_path / "none.tsv"])


def test_a_sample_keeps_all_of_a_named_class_and_about_its_share_of_the_others(tmp_path: Path) -> None:
    sample = Sample(100_000, {"mother"}, seed=1, most=10_000)
    assert sample.wants("mother")
    assert 9_000 < sum(sample.wants(f"p-{n}") for n in range(100_000)) < 11_000
    looked_at = expectations(people_file(tmp_path), [event()], seen_ms=NOON_MS, most=1)
    assert not looked_at.is_complete
    assert faults(compare(looked_at, [ledger(tmp_path, RIGHT[1:])])) == {"lost": 1}


def test_outside_the_sample_only_repeated_lines_are_found(tmp_path: Path) -> None:
    looked_at = expectations(people_file(tmp_path), [event()], seen_ms=NOON_MS, most=1)
    stranger = row("9" * 64, DANISH)
    comparison = compare(looked_at, [ledger(tmp_path, [*RIGHT, stranger, stranger])])
    assert faults(comparison) == {}
    assert comparison.repeated_lines() == {("e1", "push"): 1}


def test_a_later_line_of_a_person_replaces_the_earlier_one(tmp_path: Path) -> None:
    moved = {**PEOPLE[5], "devices": [{"platform": "ios", "app": "parent", "token": "7" * 64}]}
    people = [*PEOPLE, moved, {"kind": "gone", "id": "father"}]
    wanted = expectations(people_file(tmp_path, people), [event()], seen_ms=NOON_MS)
    rows = [row("7" * 64, DANISH), *RIGHT[4:]]
    assert faults(compare(wanted, [ledger(tmp_path, rows)])) == {}


def at(*moment: int) -> int:
    return int(datetime(*moment, tzinfo=ZoneInfo("Europe/Copenhagen")).timestamp() * 1000)  # type: ignore[arg-type,misc]


QUIET: list[tuple[list[dict[str, Any]], int, bool]] = [
    ([EVERY_NIGHT], at(2026, 3, 4, 20, 59), False),
    ([EVERY_NIGHT], at(2026, 3, 4, 21, 0), True),
    ([EVERY_NIGHT], at(2026, 3, 5, 6, 29), True),
    ([EVERY_NIGHT], at(2026, 3, 5, 6, 30), False),
    ([EVERY_NIGHT], at(2026, 3, 29, 3, 30), True),  # the night without 02:00-03:00
    ([EVERY_NIGHT], at(2026, 10, 25, 2, 30), True),  # the night that has it twice
    ([{"days": [4], "from": "18:00", "until": "18:00"}], at(2026, 3, 7, 17, 59), True),  # Friday until Saturday evening
    ([{"days": [4], "from": "18:00", "until": "18:00"}], at(2026, 3, 7, 18, 0), False),
    ([{"days": [6], "from": "22:00", "until": "07:00"}], at(2026, 3, 9, 6, 0), True),  # Sunday into Monday
    ([{"days": [2], "from": "08:00", "until": "15:00"}], at(2026, 3, 4, 12, 0), True),
    ([{"days": [3], "from": "08:00", "until": "15:00"}], at(2026, 3, 4, 12, 0), False),
]


@pytest.mark.parametrize(("hours", "moment_ms", "quiet"), QUIET)
def test_quiet_hours_are_danish_time(hours: list[dict[str, Any]], moment_ms: int, quiet: bool) -> None:
    spelled = tuple((tuple(one["days"]), one["from"], one["until"]) for one in hours)
    assert is_quiet(spelled, moment_ms) is quiet


def test_a_stretch_over_the_end_of_quiet_hours_is_partly_quiet() -> None:
    hours = (((0, 1, 2, 3, 4, 5, 6), "21:00", "06:30"),)
    end_ms = at(2026, 3, 5, 6, 30)
    assert quiet_between(hours, end_ms - 1000, end_ms - 1) is Quiet.ALWAYS
    assert quiet_between(hours, end_ms - 1000, end_ms) is Quiet.PARTLY
    assert quiet_between(hours, end_ms, end_ms + 1000) is Quiet.NEVER
    assert quiet_between((), end_ms, end_ms + 1000) is Quiet.NEVER


def test_posted_events_are_read_back_in_order(tmp_path: Path) -> None:
    events = [event(f"e{n}", NOON_MS + n) for n in range(12)]
    for place, one in enumerate(events):
        posted.write(tmp_path, place, one)
    assert posted.read(tmp_path) == events
