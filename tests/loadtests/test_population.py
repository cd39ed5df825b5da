"""The population is deterministic, whole, readable by the directory, and looks like a school platform."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from functools import cache

import msgspec
import pytest

from engine.records.municipalities import CODES, code_pattern
from engine.records.person import Device, Group, Institution, Line, Person, Strategy
from engine.records.words import Category, Channel, Language, Platform, Role
from engine.rules.devices import DeviceRules, PushService
from loadtests.population.lines import population
from loadtests.population.municipalities import MUNICIPALITIES, divide, shares

PEOPLE = 20_000
_decode = msgspec.json.Decoder(Line).decode


@cache
def text(recipients: int = PEOPLE, seed: int = 1, years: int = 0) -> bytes:
    return b"".join(piece for piece, _ in population(recipients, seed, years))


@cache
def lines(years: int = 0) -> tuple[Line, ...]:
    return tuple(_decode(line) for line in text(years=years).splitlines())


def people(years: int = 0) -> Iterator[Person]:
    return (line for line in lines(years) if isinstance(line, Person))


@cache
def pupils(years: int = 0) -> tuple[Person, ...]:
    return tuple(one for one in people(years) if any(profile.role is Role.PUPIL for profile in one.profiles))


@cache
def adults() -> tuple[Person, ...]:
    children = {one.id for one in pupils()}
    return tuple(one for one in people() if one.id not in children)


def test_the_engine_and_the_population_know_the_same_municipalities() -> None:
    assert [one.code for one in MUNICIPALITIES] == list(CODES)
    assert len(CODES) == len(set(CODES)) == 98
    assert list(CODES) == sorted(CODES)
    assert [code for code in range(10_000) if re.fullmatch(code_pattern(), f"{code:04}")] == [int(c) for c in CODES]


def test_there_are_98_municipalities_with_their_official_codes() -> None:
    codes = {one.code: one.name for one in MUNICIPALITIES}
    assert len(codes) == len(MUNICIPALITIES) == 98
    assert (codes["0101"], codes["0751"], codes["0400"], codes["0825"]) == ("København", "Aarhus", "Bornholm", "Læsø")
    assert 5_800 < sum(one.thousands for one in MUNICIPALITIES) < 6_050


def test_two_million_people_are_divided_by_size_over_all_municipalities() -> None:
    divided = shares(2_000_000)
    assert len(divided) == 98
    assert sum(head_count for _, head_count in divided) == 2_000_000
    assert divided[0][0].name == "København"
    assert divided[0][1] == max(head_count for _, head_count in divided)


@pytest.mark.parametrize(
    ("whole", "weights"), [(0, [1.0]), (1, [1.0, 1.0, 1.0]), (10, [0.0, 1.0, 2.0]), (7, [3.0, 3.0])]
)
def test_division_is_exact(whole: int, weights: list[float]) -> None:
    assert sum(divide(whole, weights)) == whole


@pytest.mark.parametrize("years", [0, 3])
def test_the_same_arguments_give_the_same_bytes_and_another_seed_others(years: int) -> None:
    first = b"".join(piece for piece, _ in population(3_000, 7, years))
    assert hashlib.sha256(first).digest() == hashlib.sha256(text(3_000, 7, years)).digest()
    assert first != text(3_000, 8, years)


@pytest.mark.parametrize("years", [0, 1, 10])
@pytest.mark.parametrize("recipients", [1, 2, 3, 26, 997, 20_000])
def test_exactly_so_many_people_come_out(recipients: int, years: int) -> None:
    whole = text(recipients, 1, years)
    assert whole.count(b'{"kind":"person"') == recipients
    assert sum(count for _, count in population(recipients, 1, years)) == recipients
    assert len(set(re.findall(rb'"kind":"person","id":"([^"]+)"', whole))) == recipients


@pytest.mark.parametrize("years", [0, 10])
def test_every_line_is_readable_and_names_only_what_came_before(years: int) -> None:
    seen: set[str] = set()
    for line in lines(years):
        match line:
            case Institution() | Group():
                if isinstance(line, Group):
                    assert line.institution in seen
                seen.add(line.id)
            case Person():
                assert all(profile.institution in seen for profile in line.profiles)
                assert all(group in seen for profile in line.profiles for group in profile.groups)
                assert all(guardian in seen for guardian in line.guardians)
                assert line.id not in seen
                seen.add(line.id)
            case Strategy():
                assert not seen & {one.id for one in people(years)}, "strategies come before people"
            case _:
                pytest.fail("the model writes nothing else")


@pytest.mark.parametrize("years", [0, 10])
def test_children_have_one_or_two_guardians_of_their_own_municipality(years: int) -> None:
    tenants = {one.id: one.tenant for one in people(years)}
    counts = Counter(len(child.guardians) for child in pupils(years))
    assert set(counts) == {1, 2}
    assert 0.1 < counts[1] / len(pupils(years)) < 0.3
    assert all(tenants[guardian] == child.tenant for child in pupils(years) for guardian in child.guardians)


@pytest.mark.parametrize("years", [0, 10])
def test_classes_have_about_22_pupils(years: int) -> None:
    sizes = Counter(child.profiles[0].groups[0] for child in pupils(years))
    assert 19 < sum(sizes.values()) / len(sizes) < 26


def test_families_stand_together_and_siblings_are_spread() -> None:
    families: dict[tuple[str, ...], list[Person]] = defaultdict(list)
    for child in pupils():
        families[child.guardians].append(child)
    several = [children for children in families.values() if len(children) > 1]
    places = [len({child.profiles[0].institution for child in children}) for children in several]
    assert 0.3 < len(several) / len(families) < 0.7
    assert 0.1 < sum(count > 1 for count in places) / len(places) < 0.8


def test_some_staff_are_guardians_too_and_are_one_person() -> None:
    staff = {one.id for one in people() if any(profile.role is Role.STAFF for profile in one.profiles)}
    guardians = {guardian for child in pupils() for guardian in child.guardians}
    assert 0.05 < len(staff) / PEOPLE < 0.12
    assert 0.2 < len(staff & guardians) / len(staff) < 0.45


def _is_reached_by_push(one: Person) -> bool:
    return bool(one.devices)


def _wants_email(one: Person) -> bool:
    return one.email is not None and Category.MESSAGE not in one.off.get(Channel.EMAIL, ())


def _has_night_hours(one: Person) -> bool:
    return any((hours.start, hours.until) == ("21:00", "06:30") for hours in one.quiet)


def _has_odd_hours(one: Person) -> bool:
    return bool(one.quiet) and not _has_night_hours(one)


SHARES: list[tuple[str, Callable[[Person], bool], float, float]] = [
    ("reached by push", _is_reached_by_push, 0.73, 0.77),
    ("wants e-mail", _wants_email, 0.22, 0.28),
    ("no address", lambda one: one.email is None, 0.03, 0.07),
    ("quiet at night", _has_night_hours, 0.23, 0.27),
    ("odd quiet hours", _has_odd_hours, 0.01, 0.035),
    ("english", lambda one: one.language is Language.EN, 0.05, 0.07),
    ("two devices", lambda one: len(one.devices) > 1, 0.12, 0.20),
    ("android", lambda one: any(device.platform is Platform.ANDROID for device in one.devices), 0.28, 0.38),
    ("post off by push", lambda one: Category.POST in one.off.get(Channel.PUSH, ()), 0.07, 0.13),
    ("message off by push", lambda one: Category.MESSAGE in one.off.get(Channel.PUSH, ()), 0.008, 0.025),
    ("inbox off for post", lambda one: Category.POST in one.off.get(Channel.INAPP, ()), 0.001, 0.008),
]


@pytest.mark.parametrize(("of", "holds", "least", "most"), SHARES, ids=[row[0] for row in SHARES])
def test_the_shares_of_adults_are_near_what_is_known(
    of: str, holds: Callable[[Person], bool], least: float, most: float
) -> None:
    assert least < sum(map(holds, adults())) / len(adults()) < most


def test_dead_devices_are_three_in_a_thousand_and_tokens_look_real() -> None:
    devices = [device for one in people() for device in one.devices]
    dead = [device for device in devices if device.token.startswith("dead")]
    assert 0.001 < len(dead) / len(devices) < 0.006
    assert len({device.token for device in devices}) == len(devices)
    for device in devices:
        assert device.token[0].isdigit() or device.token.startswith(("dead", "feed"))
        if device.platform is Platform.IOS:
            assert re.fullmatch("[0-9a-f]{64}", device.token)
        else:
            assert 140 <= len(device.token) <= 170


def test_with_a_push_service_one_guardian_in_twenty_has_a_browser_and_nothing_else_changes() -> None:
    origin = "https://push.example"
    plain, web = text(), b"".join(piece for piece, _ in population(PEOPLE, 1, 0, origin))
    browsers = re.findall(rb',?\{"platform":"web".*?\}\}\}', web)
    stripped = re.sub(rb',?\{"platform":"web".*?\}\}\}', b"", web).replace(b',"devices":[]', b"")
    assert stripped == plain
    guardians = sum(1 for one in people() if not one.profiles or one.profiles[0].role is not Role.PUPIL)
    assert 0.02 < len(browsers) / guardians < 0.06
    rules = DeviceRules([PushService("webpush.demo", origin)])
    devices = [msgspec.json.decode(spelled.lstrip(b","), type=Device) for spelled in browsers]
    assert [rules.fault_of(device) for device in devices] == [None] * len(devices)
    assert len({device.name for device in devices}) == len(devices)


def test_small_children_carry_nothing() -> None:
    small = [one for one in pupils() if "-d" in one.profiles[0].institution]
    assert small
    assert not any(one.devices or one.email or one.off or one.quiet for one in small)
    assert any(one.devices for one in pupils())


def blocks_a_class(years: int) -> float:
    """Over how many blocks of 256 recipient numbers the guardians of a class are spread, as a mean."""
    numbers = {one.id: number for number, one in enumerate(people(years))}
    spread: dict[str, set[int]] = defaultdict(set)
    for child in pupils(years):
        for guardian in child.guardians:
            spread[child.profiles[0].groups[0]].add(numbers[guardian] >> 8)
    return sum(map(len, spread.values())) / len(spread)


def test_ten_years_erode_the_neighbourhood_of_recipient_numbers() -> None:
    fresh, old = blocks_a_class(0), blocks_a_class(10)
    assert fresh < 4
    assert old > 2 * fresh


def test_the_command_writes_the_same_bytes_to_standard_output() -> None:
    command = [sys.executable, "-m", "loadtests.population", "--recipients", "500", "--seed", "3", "--out", "-"]
    done = subprocess.run(command, capture_output=True, check=True)
    assert done.stdout == text(500, 3)
