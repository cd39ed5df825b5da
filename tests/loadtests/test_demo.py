"""The demo's parts: it imports, plays, watches and judges, and says what is wrong when something is."""

from __future__ import annotations

import copy
import io
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from icalendar import Calendar
from rich.console import Console

from loadtests.demo import verdict
from loadtests.demo.cast import choose
from loadtests.demo.school_day import INVITATION, Played, invitation, scenes
from loadtests.demo.summary import rate, summary
from loadtests.demo.tables import closing_lines, event_lines, progress_table, simulators_table
from loadtests.demo.verdict import Check
from loadtests.demo.watching import UNCHANGED_SECONDS_MAX, is_at_rest, play, replaced, watch
from loadtests.oracle.comparison import Comparison
from loadtests.oracle.verify import Expectations, compare, expectations
from loadtests.stage.api import Api
from loadtests.stage.filling import Filled, chunks, fill
from loadtests.stage.processes import Program, StageFault
from loadtests.stage.settings import Addresses, StagePlan, configuration
from tests.loadtests.naive_engine import KEY, NaiveEngine, serving, write_ledger

RECIPIENTS = 2_000
TODAY = date(2026, 11, 23)


def console() -> Console:
    return Console(file=io.StringIO(), width=200)


def printed(where: Console) -> str:
    assert isinstance(where.file, io.StringIO)
    return where.file.getvalue()


class World(NamedTuple):
    """A played school day on the naive engine."""

    folder: Path
    engine: NaiveEngine
    filled: Filled
    played: list[Played]
    reports: dict[str, dict[str, Any]]
    inboxes: dict[str, list[str]]
    said: str

    def expected(self) -> Expectations:
        events = [one.posted for one in self.played]
        return expectations(self.engine.people_file, events, seen_ms=int(time.time() * 1000))

    def judge(self, lines: list[str], reports: dict[str, dict[str, Any]]) -> tuple[list[Check], Comparison]:
        expected = self.expected()
        comparison = compare(expected, [write_ledger(self.folder / "ledger.tsv", lines)])
        gone = replaced(self.played)
        titles = {one.posted.id: one.scene.kind for one in self.played}
        checks = [
            verdict.balance(self.played, reports, set(titles)),
            verdict.deliveries(comparison, titles, reports),
            verdict.agreement(self.played, reports, comparison, gone, is_complete=True),
            verdict.inboxes(expected.inboxes, self.inboxes, set(titles)),
        ]
        return checks, comparison

    def id_of(self, kind: str) -> str:
        return next(one.posted.id for one in self.played if one.scene.kind == kind)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("world")
    engine, where = NaiveEngine(folder), console()
    with serving(engine) as url, Api(url, url, KEY) as api:
        filled = fill(where, api, folder / "people.ndjson", recipients=RECIPIENTS, seed=1, years=0)
        played = play(api, scenes(choose(folder / "people.ndjson"), "run", TODAY), lambda at, event: None)
        reports = watch(where, api, played, _all_live(engine), lambda: None)
        people = [inbox.person for inbox in World(folder, engine, filled, played, {}, {}, "").expected().inboxes]
        inboxes = {person: api.inbox(person, 100) for person in people}
    return World(folder, engine, filled, played, reports, inboxes, printed(where))


def _all_live(engine: NaiveEngine) -> dict[tuple[str, str], int]:
    return {(f"e{at}", channel): RECIPIENTS * 9 for at in range(20) for channel in ("push", "email", "inapp")}


def faults(checks: list[Check]) -> list[str]:
    return [fault for check in checks for fault in check.faults]


def test_everybody_is_made_and_imported_line_by_line(world: World) -> None:
    assert world.engine.people_file.read_bytes() == (world.folder / "people.ndjson").read_bytes()
    assert "importing: 2,000 of 2,000" in world.said


def test_a_right_run_agrees_in_every_check_and_every_kind_of_event_is_played(world: World) -> None:
    checks, comparison = world.judge(world.engine.lines, world.reports)
    assert faults(checks) == []
    assert verdict.lost(comparison) == verdict.duplicates(comparison) == 0
    assert [one.scene.kind for one in world.played] == [
        "class_message",
        "calendar_invited",
        "calendar_changed",
        "calendar_cancelled",
        "municipality",
        "post",
        "sensitive",
        "national",
    ]
    assert comparison.received[world.id_of("national"), "push"] > 900
    assert comparison.suppressed[world.id_of("post"), "push", "strategy"] > 10


def test_the_events_are_about_the_largest_municipality(world: World) -> None:
    cast = choose(world.folder / "people.ndjson")
    assert (cast.tenant, cast.municipality) == ("0101", "København")
    assert cast.class_id != cast.other_class_id
    assert cast.quiet_tenant in ("0730", "0751")
    audience = {kind: world.reports[world.id_of(kind)]["audience"] for kind in ("class_message", "calendar_invited")}
    assert 15 < audience["class_message"] < 60 < audience["calendar_invited"]


def test_older_versions_of_the_invitation_are_replaced(world: World) -> None:
    assert replaced(world.played) == {world.id_of("calendar_invited"), world.id_of("calendar_changed")}


def test_the_inboxes_are_read_page_by_page(world: World) -> None:
    assert max(len(items) for items in world.inboxes.values()) >= 5


def test_a_lost_push_fails_the_comparisons_with_the_providers(world: World) -> None:
    event = world.id_of("class_message")
    gone = next(at for at, line in enumerate(world.engine.lines) if f"\t{event}\t" in line and "\tapns\t200" in line)
    checks, comparison = world.judge(world.engine.lines[:gone] + world.engine.lines[gone + 1 :], world.reports)
    assert verdict.lost(comparison) == 1
    assert [bool(check.faults) for check in checks] == [False, True, True, False]
    assert "class_message, push: 1 lost (p-" in checks[1].faults[0]


def test_a_push_that_came_twice_is_found_and_named(world: World) -> None:
    twice = next(
        line for line in world.engine.lines if "\tapns\t200" in line and f"\t{world.id_of('national')}\t" in line
    )
    checks, comparison = world.judge([*world.engine.lines, twice], world.reports)
    assert verdict.duplicates(comparison) == 1
    assert "national, push: 1 accepted again, of 0 whose outcome was unknown" in checks[1].faults[0]


def test_a_repeat_of_an_unknown_outcome_is_no_fault(world: World) -> None:
    event = world.id_of("national")
    twice = next(line for line in world.engine.lines if "\tapns\t200" in line and f"\t{event}\t" in line)
    reports = copy.deepcopy(world.reports)
    reports[event]["channels"]["push"]["unknown"] = 1
    checks, comparison = world.judge([*world.engine.lines, twice], reports)
    assert verdict.duplicates(comparison) == verdict.duplicate_bound(reports) == 1
    assert not checks[1].faults


MISCOUNTED: list[tuple[str, dict[str, Any], int, str]] = [
    ("people", {"people": 1}, 0, "people are accounted for"),
    ("planned", {"planned": 1}, 0, "deliveries are accounted for"),
    ("suppressed", {"suppressed": {"opted_out": 1}}, 2, "the engine suppressed 1 people for opted_out"),
    ("ends", {"ends": {"accepted": 1, "rejected": 0}}, 2, "the engine says 1 accepted"),
]


@pytest.mark.parametrize(("what", "change", "check", "sentence"), MISCOUNTED, ids=[row[0] for row in MISCOUNTED])
def test_a_report_that_miscounts_is_found(
    world: World, what: str, change: dict[str, Any], check: int, sentence: str
) -> None:
    reports = copy.deepcopy(world.reports)
    reports[world.id_of("municipality")]["channels"]["push"].update(change)
    checks, _ = world.judge(world.engine.lines, reports)
    assert any(sentence in fault for fault in checks[check].faults), checks


def test_an_event_that_the_engine_calls_unbalanced_or_that_never_rests_fails(world: World) -> None:
    reports = copy.deepcopy(world.reports)
    reports[world.id_of("post")]["balanced"] = False
    resting = {one.posted.id for one in world.played} - {world.id_of("national")}
    found = verdict.balance(world.played, reports, resting).faults
    assert len(found) == 2
    assert "does not balance" in found[0]
    assert "still wait that were due" in found[1]


def test_inboxes_with_too_little_too_much_or_twice_are_found(world: World) -> None:
    wanted = world.expected().inboxes
    ids = {one.posted.id for one in world.played}
    full = wanted[0].person
    assert wanted[0].must
    for items, sentence in (
        ([], "lacks"),
        ([*world.inboxes[full], world.inboxes[full][0]], "twice"),
        (sorted(ids), "not for them"),
    ):
        found = verdict.inboxes(wanted[:1], {full: items}, ids).faults
        assert len(found) == 1
        assert sentence in found[0]


def test_the_figures_have_what_the_issue_names(world: World) -> None:
    checks, comparison = world.judge(world.engine.lines, world.reports)
    figures = summary(world.filled, world.played, world.reports, comparison, checks, people_looked_at=RECIPIENTS)
    assert {"recipients", "events", "simulators", "conserved", "lost", "duplicates", "seconds"} <= set(figures)
    assert figures["conserved"] is True
    assert {"deliveries", "deliveries_per_second"} <= set(figures)
    ends = ("accepted", "rejected", "expired", "cancelled", "superseded", "dead", "live", "suppressed_at_send")
    for event in figures["events"]:
        assert {"id", "kind", "audience", "seconds", "channels"} <= set(event)
        for counts in event["channels"].values():
            assert counts["people"] + counts["suppressed"] == event["audience"]
            assert sum(counts[end] for end in ends) == counts["planned"]
            assert counts["retries"] == 0
    assert figures["simulators"]["apns"]["received"] > 0


def test_a_rate_is_shown_only_where_it_lasted_long_enough() -> None:
    assert rate(100, 1.9) is None
    assert rate(100, 2.0) == 50.0
    figures = {
        "deliveries": 3,
        "recipients": 60,
        "generated_seconds": 1.0,
        "imported_seconds": 1.0,
        "people_looked_at": 60,
        "lost": 0,
        "duplicates": 0,
    }
    short = closing_lines({**figures, "seconds": 0.4, "deliveries_per_second": rate(3, 0.4)}, [])[0]
    long = closing_lines({**figures, "seconds": 4.0, "deliveries_per_second": rate(3, 4.0)}, [])[0]
    assert short == "3 deliveries to 60 people in 0.4 s"
    assert long == "3 deliveries to 60 people in 4.0 s: 1 a second"


def test_the_tables_show_every_event_and_the_closing_lines_every_fault(world: World) -> None:
    checks, comparison = world.judge(world.engine.lines, world.reports)
    figures = summary(world.filled, world.played, world.reports, comparison, checks, people_looked_at=RECIPIENTS)
    where = console()
    where.print(simulators_table(figures), progress_table(world.played, world.reports, 3.0))
    for text in (printed(where), "\n".join(event_lines(figures))):
        assert all(one.scene.title in text for one in world.played)
    assert any("suppressed: no_endpoint" in line for line in event_lines(figures))
    assert max(map(len, event_lines(figures))) < 110
    failed = [Check("everything is right", tuple(f"fault {n}" for n in range(12)))]
    lines = closing_lines(figures, failed)
    assert "FAILED: everything is right" in lines
    assert lines[-1].strip() == "and 2 more"


def report(state: str = "planned", urgency: str = "normal", **live: int) -> dict[str, Any]:
    channels = {channel: {"live": count} for channel, count in live.items()}
    return {"id": "e", "state": state, "urgency": urgency, "channels": channels}


RESTS: list[tuple[dict[str, Any], dict[tuple[str, str], int] | None, float, bool]] = [
    (report("admitted"), {}, 999, False),
    (report("closed", push=0), {}, 0, True),
    (report(push=3), {}, 0, False),
    (report(push=3), {("e", "push"): 3}, 0, True),
    (report(push=3, email=1), {("e", "push"): 3}, 0, False),
    (report(push=3), None, 0, False),
    (report(push=3), None, UNCHANGED_SECONDS_MAX + 1, True),
    (report(push=3, urgency="emergency"), None, UNCHANGED_SECONDS_MAX + 1, False),
]


@pytest.mark.parametrize(("seen", "allowed", "unchanged", "rests"), RESTS)
def test_an_event_rests_when_only_quiet_hours_hold_something(
    seen: dict[str, Any], allowed: dict[tuple[str, str], int] | None, unchanged: float, rests: bool
) -> None:
    assert is_at_rest(seen, allowed, unchanged) is rests


def test_a_refused_line_ends_the_import_with_its_number_and_reason(tmp_path: Path) -> None:
    engine = NaiveEngine(tmp_path)
    engine.refuse_line = 7
    with (
        serving(engine) as url,
        Api(url, url, KEY) as api,
        pytest.raises(StageFault, match="line 7: id: is missing"),
    ):
        fill(console(), api, tmp_path / "people.ndjson", recipients=100, seed=1, years=0)


def test_a_refused_call_names_the_call_and_what_the_engine_said(tmp_path: Path) -> None:
    with (
        serving(NaiveEngine(tmp_path)) as url,
        Api(url, url, "wrong") as api,
        pytest.raises(StageFault, match="POST /v1/events with status 401"),
    ):
        api.post_event({})
    with (
        Api(url, url, KEY, patience_seconds=0) as api,
        pytest.raises(StageFault, match="gave no answer to GET /v1/events/e1"),
    ):
        api.report("e1")


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_chunks_are_whole_lines_and_lose_nothing(tmp_path: Path, size: int) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"one\ntwo\n\nthree is longer\nlast without end")
    pieces = list(chunks(path, size))
    assert b"".join(pieces) == path.read_bytes() + b"\n"
    assert all(piece.endswith(b"\n") for piece in pieces)


@pytest.mark.parametrize(("sequence", "method", "hour"), [(0, "REQUEST", 17), (1, "REQUEST", 18), (2, "CANCEL", 18)])
def test_each_version_of_the_invitation_is_icalendar(sequence: int, method: str, hour: int) -> None:
    text = invitation(INVITATION.read_text("utf-8"), "run", TODAY, sequence, is_cancelled=method == "CANCEL")
    calendar: Any = Calendar.from_ical(text)
    (entry,) = calendar.walk("VEVENT")
    assert calendar["METHOD"] == method
    assert entry["UID"] == "run-parents-evening@skole.example"
    assert entry["SEQUENCE"] == sequence
    start, end = entry["DTSTART"].dt, entry["DTEND"].dt
    assert (start.date(), start.hour, (end - start).seconds) == (TODAY, hour, 7200)
    assert ("STATUS" in entry) is (method == "CANCEL")
    assert "\n" not in text.replace("\r\n", "")


def test_the_configuration_is_one_that_the_engine_takes(tmp_path: Path) -> None:
    from engine.config import load

    for name in ("ticket.key", "apns.key", "vapid.key", "service-account.json", "tls/ca.pem"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    apns, fcm, webpush = (f"https://127.0.0.1:{port}" for port in (1, 2, 4))
    addresses = Addresses(8600, 8601, 9600, apns, fcm, webpush, "127.0.0.1:3")
    (tmp_path / "klokke.toml").write_text(configuration(addresses, "0" * 64, StagePlan("demo")), "utf-8")
    loaded = load(tmp_path / "klokke.toml")
    phones = {"apns.parent", "apns.staff", "fcm.parent", "fcm.staff"}
    assert set(loaded.lanes) == {*phones, "webpush.demo", "email", "inapp"}
    assert addresses.metrics == "http://127.0.0.1:9600/metrics"


def test_a_simulator_says_where_it_listens_and_ends_when_told(tmp_path: Path) -> None:
    arguments = ["channels.simulator", "smtp", "--ledger", str(tmp_path / "smtp.tsv")]
    program = Program("the simulated smtp", arguments, tmp_path / "smtp.log", announces=True)
    try:
        assert program.announcement(20.0)["provider"] == "smtp"
        program.check()
    finally:
        program.terminate()
        program.wait(20.0)
    with pytest.raises(StageFault, match=r"the simulated smtp ended with status 0; its log: .*smtp\.log"):
        program.check()


def test_a_program_that_does_not_start_is_told_with_its_log(tmp_path: Path) -> None:
    program = Program("the engine", ["no_such_module"], tmp_path / "engine.log", announces=True)
    try:
        with pytest.raises(StageFault, match=r"the engine ended with status 1; its log: .*engine\.log"):
            program.announcement(20.0)
    finally:
        program.wait(20.0)
    assert "no_such_module" in (tmp_path / "engine.log").read_text()


def test_help_has_examples_and_names_every_option() -> None:
    command = [sys.executable, "-m", "loadtests.demo", "--help"]
    text = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": "120"}
    ).stdout
    for word in ("--recipients", "--json", "--keep", "--seed", "For example:", "./klokke demo --recipients 2000"):
        assert word in text


def test_a_faulty_option_is_refused_in_a_sentence() -> None:
    command = [sys.executable, "-m", "loadtests.demo", "--recipients", "3"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "recipients" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_stops_everything_and_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "loadtests.demo", "--recipients", "100"]
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as demo:
        assert demo.stdout is not None
        assert any("starting the simulated providers" in line for line in demo.stdout)
        demo.send_signal(number)
        said = demo.communicate(timeout=30)[1]
    assert demo.returncode == 130, said
    assert said.strip() == "klokke demo: stopped; nothing is left running"
    assert list(tmp_path.iterdir()) == []
    assert running_with(str(tmp_path)) == []


def running_with(word: str) -> list[str]:
    """The command lines of running processes that name a word (Linux; elsewhere none is found)."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it ended meanwhile
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return [line for line in found if word in line]
