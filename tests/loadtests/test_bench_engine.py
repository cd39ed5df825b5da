"""The bench of the engine: what it counts, how it judges, and that a lost or doubled delivery is found."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from loadtests.bench.engine.blast import Blast, Sent, has_ended
from loadtests.bench.engine.figures import (
    faults,
    figures,
    latencies_ms,
    latency_figures,
    of_size,
    targets,
)
from loadtests.bench.engine.gauges import Spent, numbered
from loadtests.bench.engine.ledgers import Arrived, arrived, read
from loadtests.bench.engine.people import CATEGORY, Expected, expected
from loadtests.bench.engine.preparing import Population, check_room, kept
from loadtests.oracle.ledger import COLUMNS, Received
from loadtests.population.lines import population
from loadtests.stage.processes import StageFault
from loadtests.stage.settings import StagePlan

POSTED_MS = 1_000_000


def line(event: str, delivery: bytes, unix_ms: int = POSTED_MS, *, is_accepted: bool = True) -> Received:
    return Received(unix_ms, "apns", "push", is_accepted, "", "token", delivery, event, "text")


def report(push: int, inapp: int, *, live: int = 0, last_settled: str = "1970-01-01T00:16:43Z") -> dict[str, Any]:
    def counts(planned: int, live: int) -> dict[str, Any]:
        return {"planned": planned, "live": live, "ends": {"accepted": planned - live}}

    channels = {"push": counts(push, live), "inapp": counts(inapp, 0)}
    return {"state": "planned", "channels": channels, "last_settled": last_settled}


def test_a_delivery_that_came_twice_was_refused_or_is_of_another_event_is_told_apart() -> None:
    lines = [
        line("a", b"1", 5),
        line("a", b"2", 9),
        line("a", b"1", 7),
        line("a", b"3", 99, is_accepted=False),
        line("b", b"1", 50),
        line("x", b"1", 500),
    ]
    found = arrived(lines, ["a", "b", "c"])
    assert {event: (one.count, one.repeated, one.refused, one.last_ms) for event, one in found.items()} == {
        "a": (2, 1, 1, 9),
        "b": (1, 0, 0, 50),
        "c": (0, 0, 0, 0),
    }


def test_several_ledgers_are_read_as_one_and_a_line_that_is_being_written_is_left_out(tmp_path: Path) -> None:
    heading = "#" + "\t".join(COLUMNS) + "\n"
    for name, rows in (("apns", ["7\tapns\t200\t\tt\td1\te\tc\tx\n", "8\tapns\t20"]), ("fcm", [])):
        (tmp_path / name).write_text(heading + "".join(rows))
    assert [one.delivery for one in read([tmp_path / "apns", tmp_path / "fcm"])] == [b"d1"]


def test_what_must_be_delivered_is_counted_as_a_naive_reader_counts_it() -> None:
    text = b"".join(piece for piece, _ in population(3_000, 5))
    people = [one for one in map(json.loads, text.splitlines()) if one["kind"] == "person"]

    def devices(platform: str) -> Iterator[str]:
        for one in people:
            if CATEGORY not in one.get("off", {}).get("push", ()):
                yield from (device["token"] for device in one.get("devices", ()) if device["platform"] == platform)

    found = expected(text.splitlines(), 5)
    assert found.people == 3_000
    assert (found.apns, found.fcm) == (len(list(devices("ios"))), len(list(devices("android"))))
    assert found.inapp == sum(CATEGORY not in one.get("off", {}).get("inapp", ()) for one in people)
    for group, tenant, count in found.classes:
        pupils = [one for one in people if one.get("guardians") and one["profiles"][0]["groups"][0] == group]
        assert len({guardian for pupil in pupils for guardian in pupil["guardians"]}) == count
        assert {pupil["tenant"] for pupil in pupils} == {tenant}


def test_a_population_without_quiet_hours_is_the_same_otherwise() -> None:
    with_quiet, without = (
        b"".join(text for text, _ in population(2_000, 1, has_quiet_hours=has)) for has in (True, False)
    )
    assert b'"quiet"' in with_quiet
    assert re.sub(rb',"quiet":\[\{.*?\}\](?=[,}])', b"", with_quiet) == without


@given(st.lists(st.integers(0, 5_000), max_size=300))
def test_latency_figures_are_ordered_and_taken_from_the_messages(latencies: list[int]) -> None:
    found = latency_figures(latencies)
    assert found["messages"] == len(latencies)
    if latencies:
        assert min(latencies) <= found["p50_ms"] <= found["p99_ms"] <= found["max_ms"] == max(latencies)
        assert sum(one > found["p99_ms"] for one in latencies) <= len(latencies) / 100
    else:
        assert found["p99_ms"] is None


def test_only_messages_posted_before_the_end_of_the_blast_count_and_none_is_faster_than_nothing() -> None:
    arrivals = arrived([line("a", b"1", 130), line("b", b"1", 190), line("c", b"1", 400)], "abc")
    sent = [Sent("a", 100), Sent("b", 200), Sent("c", 300)]
    assert latencies_ms(sent, arrivals, until_ms=250) == [30, 0]


EXPECTED = Expected(10, 3, 1, 10, [])


def measured(push: int = 4, inapp: int = 10) -> Blast:
    return Blast(Sent("n", POSTED_MS), [Sent("u", POSTED_MS)], report(push, inapp), POSTED_MS + 700, [report(1, 1)])


def arrivals(*lines: Received) -> dict[str, Arrived]:
    right = [line("n", b"%d" % at, POSTED_MS + 500 + at) for at in range(4)] + [line("u", b"u", POSTED_MS + 40)]
    return arrived([*right, *lines], ["n", "u"])


def test_a_right_blast_has_no_faults_and_its_seconds_are_those_of_the_slower_channel() -> None:
    spent = [Spent("dispatch 1", 0.5, 80.0), Spent("store", 0.2, 70.0)]
    store = {"used_memory": str(5 << 20), "used_memory_peak": str(6 << 20)}
    found = figures(EXPECTED, measured(), spent, arrivals(), store)
    assert found["faults"] == []
    assert found["seconds_to_last_push_answer"] == 0.503
    assert found["seconds"] == found["seconds_to_last_settlement"] == 3.0
    assert found["seconds_to_last_inapp"] == 0.7
    assert found["us_per_recipient"] == 300_000
    assert found["cpu_us_per_delivery"] == {"dispatch 1": 35_714.29, "store": 14_285.71}
    assert (found["store_used_mb"], found["store_peak_mb"]) == (5, 6)
    assert found["urgent"] == {"messages": 1, "p50_ms": 40, "p99_ms": 40, "max_ms": 40}


@pytest.mark.parametrize(
    ("blast", "there", "word"),
    [
        (measured(), arrivals(line("n", b"0", POSTED_MS + 600)), "1 deliveries were received twice"),
        (measured(), arrivals(line("n", b"9", POSTED_MS + 600)), "received 5 deliveries of 4"),
        (measured(), arrivals(line("u", b"v", POSTED_MS)), "urgent u: the providers received 2 deliveries of 1"),
        (measured(), arrivals(line("n", b"9", is_accepted=False)), "1 pushes were refused"),
        (measured(), arrived([line("n", b"1"), line("u", b"u")], "nu"), "received 1 deliveries of 4"),
        (measured(push=3), arrivals(), "3 deliveries were planned, the population has 4"),
        (measured(inapp=9), arrivals(), "1 did not reach the inbox"),
    ],
)
def test_whatever_does_not_add_up_is_a_fault_in_a_sentence(blast: Blast, there: dict[str, Arrived], word: str) -> None:
    assert any(word in fault for fault in faults(EXPECTED, blast, there))


def size(recipients: int, seconds: float, p99: float | None = 90.0, cpu: float | None = None) -> dict[str, Any]:
    urgent = {"messages": 0 if p99 is None else 40, "p50_ms": 50, "p99_ms": p99, "max_ms": p99}
    us_per_recipient = 1e6 * seconds / recipients
    return {
        "recipients": recipients,
        "seconds": seconds,
        "us_per_recipient": us_per_recipient,
        "cpu_us_per_recipient_all": 2 * us_per_recipient if cpu is None else cpu,
        "urgent": urgent,
    }


def test_targets_say_what_was_wanted_what_was_reached_and_whether_that_is_enough() -> None:
    found = targets([size(20_000, 0.4), size(200_000, 4.5), size(2_000_000, 41.2, cpu=49.0)])
    assert [one.sentence() for one in found] == [
        "target 202 to last answer, 2,000,000 recipients <= 45.00 s: 41.20 s, met",
        "target CPU per recipient at 200,000 over 20,000 <= 1.10: 1.12 (seconds 1.12), missed",
        "target CPU per recipient at 2,000,000 over 200,000 <= 1.10: 1.09 (seconds 0.92), met",
        "target urgent p99 of 40 messages during the blast <= 250 ms: 90 ms, met",
    ]


def test_a_smaller_size_has_its_share_of_the_seconds_and_no_urgent_message_makes_no_target() -> None:
    (only,) = targets([size(20_000, 0.46, None)])
    assert only.sentence() == (
        "target 202 to last answer, 20,000 recipients <= 0.45 s (a share of 45 s for 2,000,000): 0.46 s, missed"
    )


def test_of_several_rounds_the_middle_one_counts_and_the_faults_of_all() -> None:
    rounds = [
        {"seconds": seconds, "faults": [str(seconds)], "urgent_ms": [round(10 * seconds)]}
        for seconds in (5.0, 1.0, 3.0)
    ]
    found = of_size(rounds, [7])
    assert (found["seconds"], found["seconds_of_rounds"]) == (3.0, [5.0, 1.0, 3.0])
    assert found["faults"] == ["5.0", "1.0", "3.0"]
    assert found["urgent"]["max_ms"] == 50
    assert found["urgent_when_idle"]["p50_ms"] == 7


def test_an_event_has_ended_when_it_is_planned_and_nothing_of_it_lives() -> None:
    assert has_ended(report(4, 10))
    assert not has_ended(report(4, 10, live=1))
    assert not has_ended({**report(0, 0), "state": "admitted"})


def test_processes_with_the_same_roles_are_numbered() -> None:
    layout = ("intake+gateway", "dispatch", "dispatch")
    assert numbered(layout) == ["intake+gateway", "dispatch 1", "dispatch 2"]


def test_a_disk_without_room_is_refused_before_anything_starts(tmp_path: Path) -> None:
    check_room(tmp_path, 1)
    with pytest.raises(StageFault, match=r"GB free; 9,000,000,000,000 recipients need 27000000\.0 GB"):
        check_room(tmp_path, 9_000_000_000_000)


def test_people_that_were_kept_are_used_again_and_others_are_not_taken_for_them(tmp_path: Path) -> None:
    who = Population(2_000, 1, 0)
    home = tmp_path / "2000-1-0"
    home.mkdir()
    (home / "population.json").write_text(json.dumps(who._asdict()))
    said: list[str] = []
    assert kept(Console(quiet=True), tmp_path, who, StagePlan("bench"), said.append) == home
    assert said == [f"using the people kept in {home}"]
    assert not (tmp_path / "2000-1-10").exists()
