"""Relations, devices, generations, retirement: one fact a test, on the real store."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
import trio

from engine.records.errors import ChangeRefused
from engine.records.person import SLOT_MAX, Device, Gone, Line, Person, Profile, Strategy
from engine.records.roster import headcount, roster_of
from engine.records.words import Category, Channel, Platform, Role
from engine.records.work import Endpoint
from queueing.directory import StoreDirectory, keys
from queueing.directory.card import decode, encode
from queueing.link import Link
from tests.queueing.directory_oracle import CATALOGUE, assert_in_keeping_with_itself

NOW = 1_700_000_000_000
LANE = "apns.parent"


def phone(token: str, platform: Platform = Platform.IOS) -> Device:
    return Device(platform=platform, app="parent", token=f"token-{token}")


def person(id: str, *tokens: str, **rest: object) -> Person:
    devices = tuple(phone(token) for token in tokens)
    return msgspec.structs.replace(Person(id=id, tenant="0101", devices=devices), **rest)


def pupil(id: str, group: str, *guardians: str) -> Person:
    school = {"1a": "s1", "1b": "s1", "2a": "s2", "bees": "d1"}[group]
    profile = Profile(institution=school, role=Role.PUPIL, groups=(group,))
    return Person(id=id, tenant="0101", profiles=(profile,), guardians=guardians)


@pytest.fixture
async def directory(link: Link) -> StoreDirectory:
    made = StoreDirectory(link)
    assert await take(made, *CATALOGUE) == []
    return made


async def take(directory: StoreDirectory, *lines: Line, now_ms: int = NOW) -> Sequence[str]:
    return [refusal.reason for refusal in await directory.apply(list(enumerate(lines, 1)), now_ms)]


async def on_lane(directory: StoreDirectory, *ids: str, slot: int = 0, lane: str = LANE) -> list[Endpoint]:
    return await directory.endpoints(lane, slot, roster_of((await directory.numbers(ids)).values()))


async def members(directory: StoreDirectory, name: str) -> int:
    return headcount((await directory.rosters([name]))[name])


# --- families ----------------------------------------------------------------------------------------------------


async def test_numbers_are_dense_and_stay_with_the_id(directory: StoreDirectory) -> None:
    await take(directory, *(person(f"p{at}") for at in range(300)))
    await take(directory, Gone(id="p3"), person("new"), person("p3"))
    numbers = await directory.numbers(["p0", "p3", "p299", "new", "nobody"])
    assert numbers == {"p0": 0, "p3": 3, "p299": 299, "new": 300}


async def test_a_guardian_stays_in_a_school_through_a_second_child(directory: StoreDirectory) -> None:
    await take(directory, person("mum"), pupil("a", "1a", "mum"), pupil("b", "1b", "mum"))
    assert await members(directory, "institution/s1/guardian") == 1
    await take(directory, pupil("a", "2a", "mum"))
    assert await members(directory, "group/1a/guardian") == 0
    assert await members(directory, "institution/s1/guardian") == 1
    await take(directory, Gone(id="b"))
    assert await members(directory, "institution/s1/guardian") == 0
    assert await members(directory, "institution/s2/guardian") == 1
    assert await members(directory, "municipality/0101/guardian") == 1


async def test_a_pupil_stays_in_its_school_through_a_second_group(directory: StoreDirectory) -> None:
    both = Profile(institution="s1", role=Role.PUPIL, groups=("1a", "1b"))
    await take(directory, person("a", profiles=(both,)))
    await take(directory, pupil("a", "1b"))
    assert await members(directory, "group/1a/pupil") == 0
    assert await members(directory, "institution/s1/pupil") == 1


async def test_a_removed_guardian_leaves_the_rosters_and_the_child(directory: StoreDirectory) -> None:
    await take(directory, person("mum"), person("dad"), pupil("a", "1a", "mum", "dad"))
    await take(directory, pupil("a", "1a", "dad"))
    dad = (await directory.numbers(["dad"]))["dad"]
    assert await directory.guardians(["a"]) == roster_of([dad])
    assert (await directory.rosters(["group/1a/guardian"]))["group/1a/guardian"] == roster_of([dad])
    assert (await directory.planes([0], ["role.guardian"]))["role.guardian"] == roster_of([dad])


async def test_a_guardian_who_left_does_not_come_back_by_itself(directory: StoreDirectory) -> None:
    child = pupil("a", "1a", "mum")
    await take(directory, person("mum"), child)
    await take(directory, Gone(id="mum"))
    await take(directory, person("mum"))
    assert await directory.guardians(["a"]) == {}
    assert await directory.person("a") == msgspec.structs.replace(child, guardians=())
    await take(directory, child)  # the same line as before says it again
    assert await members(directory, "group/1a/guardian") == 1
    assert await directory.person("a") == child


async def test_families_hold_what_both_cards_say(directory: StoreDirectory) -> None:
    anna = msgspec.structs.replace(pupil("anna", "1a", "mum", "dad"), name="Anna")
    assert await take(directory, person("mum"), person("dad"), anna, pupil("bo", "2a", "mum")) == []
    numbers = await directory.numbers(["mum", "dad", "anna"])

    async def names() -> dict[str, list[tuple[str, str]]]:
        found = await directory.families(roster_of(numbers.values()))
        return {id: [(c.id, c.name) for c in found[at].children] for id, at in numbers.items() if at in found}

    assert await names() == {"mum": [("anna", "Anna"), ("bo", "")], "dad": [("anna", "Anna")], "anna": []}
    found = await directory.families(roster_of(numbers.values()))
    assert "group/1a/pupil" in found[numbers["mum"]].children[0].rosters
    assert "group/2a/pupil" not in found[numbers["anna"]].own.rosters
    assert found[numbers["anna"]].own.name == "Anna"
    await directory.change("anna", lambda old: msgspec.structs.replace(old, guardians=("dad",), name="Åse"), NOW)
    assert await names() == {"mum": [("bo", "")], "dad": [("anna", "Åse")], "anna": []}
    await take(directory, Gone(id="dad"))
    assert await names() == {"mum": [("bo", "")], "anna": []}
    await take(directory, person("dad"))
    assert (await names())["dad"] == []  # who left and came back is no guardian by itself


async def test_a_guardian_whose_card_has_not_heard_of_the_end_of_custody_is_no_family(
    directory: StoreDirectory, link: Link
) -> None:
    """As after a writer died between the child's card and its letter to the guardian."""
    assert await take(directory, person("mum"), pupil("anna", "1a", "mum")) == []
    numbers = await directory.numbers(["mum", "anna"])
    place = (keys.cards(numbers["anna"] >> 8), keys.OFFSETS[numbers["anna"] & 255])
    card = decode(link.run_now([("HGET", *place)])[0])
    assert card is not None
    link.run_now([("HSET", *place, encode(msgspec.structs.replace(card, guardians=())))])
    found = await directory.families(roster_of([numbers["mum"]]))
    assert found[numbers["mum"]].children == ()


async def test_a_roster_is_read_on_some_blocks_only(directory: StoreDirectory) -> None:
    await take(directory, *(pupil(f"p{at}", "1a") for at in range(600)))
    whole = (await directory.rosters(["group/1a/pupil"]))["group/1a/pupil"]
    assert headcount(whole) == 600
    part = await directory.rosters(["group/1a/pupil", "group/none/pupil"], [1, 7])
    assert part == {"group/1a/pupil": {1: whole[1]}, "group/none/pupil": {}}
    assert (await directory.rosters(["group/1a/pupil"], []))["group/1a/pupil"] == {}


async def test_strategies_and_tenants_of_scopes(directory: StoreDirectory) -> None:
    await take(directory, Strategy(tenant="0101", category=Category.POST, channels=(Channel.INAPP, Channel.EMAIL)))
    await take(directory, Strategy(tenant="0101", category=Category.SURVEY, channels=()))
    assert await directory.strategy("0101") == {
        Category.POST: frozenset({Channel.INAPP, Channel.EMAIL}),
        Category.SURVEY: frozenset(),
    }
    assert await directory.strategy("0147") == {}
    scopes = ["group/bees", "institution/d1", "group/none", "institution/none", "everyone"]
    assert [await directory.scope_tenant(scope) for scope in scopes] == ["0147", "0147", None, None, None]


# --- devices -----------------------------------------------------------------------------------------------------


async def test_a_token_moves_to_who_registers_it_last(directory: StoreDirectory) -> None:
    await take(directory, person("old", "t1", "t2"))
    await take(directory, person("new", "t1"))
    assert await directory.person("old") == person("old", "t2")
    assert [e.address for e in await on_lane(directory, "old", "new")] == [b"token-t1"]
    assert [e.address for e in await on_lane(directory, "old", "new", slot=1)] == [b"token-t2"]


async def test_a_token_moves_within_one_batch(directory: StoreDirectory) -> None:
    await take(directory, person("a", "t"), person("b", "t"), person("c", "t"), person("b", "t"), person("a"))
    numbers = await directory.numbers(["b"])
    assert await on_lane(directory, "a", "b", "c") == [Endpoint(numbers["b"], 2, b"token-t")]


async def test_two_people_swap_tokens_in_one_batch(directory: StoreDirectory) -> None:
    await take(directory, person("a", "t1"), person("b", "t2"))
    await take(directory, person("a", "t2"), person("b", "t1"))
    assert [e.address for e in await on_lane(directory, "a", "b")] == [b"token-t2", b"token-t1"]
    await assert_in_keeping_with_itself(directory, ["a", "b"])


async def test_slots_are_not_compacted_and_generations_rise(directory: StoreDirectory) -> None:
    await take(directory, person("a", "t0", "t1"))
    await take(directory, person("a", "t1"))
    assert await on_lane(directory, "a") == []
    assert await on_lane(directory, "a", slot=1) == [Endpoint(0, 1, b"token-t1")]
    await take(directory, person("a", "t1", "t2"))
    assert await on_lane(directory, "a") == [Endpoint(0, 2, b"token-t2")]
    await take(directory, Gone(id="a"))
    await take(directory, person("a", "t0"))
    assert await on_lane(directory, "a") == [Endpoint(0, 3, b"token-t0")]


async def test_one_device_too_many_replaces_the_oldest(directory: StoreDirectory) -> None:
    tokens = [f"t{at}" for at in range(SLOT_MAX)]
    await take(directory, person("a", *tokens))
    line = person("a", *tokens, "one-more")
    await take(directory, line)
    assert await directory.person("a") == person("a", *tokens[1:], "one-more")
    assert await on_lane(directory, "a") == [Endpoint(0, 2, b"token-one-more")]
    stamp = await directory.stamp()
    await take(directory, line)
    assert await directory.stamp() == stamp
    assert await directory.register("a", phone("and-another"), NOW)
    assert await directory.person("a") == person("a", *tokens[2:], "one-more", "and-another")


async def test_registering_takes_a_token_over_and_renews_its_time(directory: StoreDirectory) -> None:
    await take(directory, person("a", "t1"), person("b"))
    assert await directory.register("b", phone("t1"), NOW + 10)
    assert (await directory.person("a"), await directory.person("b")) == (person("a"), person("b", "t1"))
    assert await directory.register("b", phone("t1"), NOW + 500)
    number = (await directory.numbers(["b"]))["b"]
    assert not await directory.retire(LANE, 0, number, 1, gone_since_ms=NOW + 499)
    assert await directory.retire(LANE, 0, number, 1, gone_since_ms=NOW + 500)
    assert not await directory.register("nobody", phone("t1"), NOW)


async def test_a_sparse_and_a_dense_slice_read_the_same_endpoints(directory: StoreDirectory) -> None:
    await take(directory, *(person(f"p{at}", *[f"{at}"] * (at % 3 > 0)) for at in range(700)))
    everyone = [Endpoint(at, 1, f"token-{at}".encode()) for at in range(700) if at % 3]
    assert await directory.endpoints(LANE, 0, roster_of(range(700))) == everyone
    for step in (2, 7, 40, 90):  # by block: read whole, by name, one by one
        chosen = range(0, 700, step)
        found = await directory.endpoints(LANE, 0, roster_of(chosen))
        assert found == [endpoint for endpoint in everyone if endpoint.number in chosen]


# --- retirement --------------------------------------------------------------------------------------------------

RETIRE_CASES = [
    # lane, slot, generation, gone since (ms after registration), retired?
    ("no time stamp", LANE, 0, 1, None, True),
    ("gone after registration", LANE, 0, 1, 5, True),
    ("registered anew since", LANE, 0, 1, -5, False),
    ("its successor's generation", LANE, 0, 2, None, False),
    ("another slot", LANE, 1, 1, None, False),
    ("a lane it has no device on", "fcm.parent", 0, 1, None, False),
    ("e-mail", "email", 0, 1, None, True),
    ("e-mail of another generation", "email", 0, 9, None, False),
]


@pytest.mark.parametrize(
    ("lane", "slot", "generation", "after_ms", "retired"),
    [c[1:] for c in RETIRE_CASES],
    ids=[c[0] for c in RETIRE_CASES],
)
async def test_only_the_endpoint_that_was_meant_is_retired(
    directory: StoreDirectory, lane: str, slot: int, generation: int, after_ms: int | None, retired: bool
) -> None:
    await take(directory, person("a", "t1", email="a@example.dk"))
    gone_since = None if after_ms is None else NOW + after_ms
    stamp = await directory.stamp()
    assert await directory.retire(lane, slot, 0, generation, gone_since) is retired
    changes = await directory.changes_since(stamp)
    assert changes is not None
    assert changes.blocks == ({0} if retired else set())
    assert (await on_lane(directory, "a") == []) == (retired and lane == LANE)
    assert not await directory.retire(lane, slot, 0, generation, gone_since), "a second time changes nothing"


async def test_a_bad_address_is_kept_until_another_one_comes(directory: StoreDirectory) -> None:
    line = person("a", email="a@example.dk")
    await take(directory, line)
    assert await directory.retire("email", 0, 0, 1, None)
    await take(directory, line)  # the same address again is no better
    planes = await directory.planes([0], ["bad.email", "ep.email.0"])
    assert planes == {"bad.email": {0: 1}, "ep.email.0": {0: 1}}
    assert await directory.person("a") == line
    await take(directory, msgspec.structs.replace(line, email="b@example.dk"))
    assert (await directory.planes([0], ["bad.email"]))["bad.email"] == {}
    assert await on_lane(directory, "a", lane="email") == [Endpoint(0, 2, b"b@example.dk")]


async def test_many_retirements_at_once_all_happen(directory: StoreDirectory, store_url: str) -> None:
    await take(directory, *(person(f"p{at}", f"{at}") for at in range(60)))
    other = StoreDirectory(Link(store_url))
    retired: list[bool] = []

    async def retire(number: int) -> None:
        at = (directory, other)[number % 2]
        retired.append(await at.retire(LANE, 0, number, 1, None))

    async with trio.open_nursery() as nursery:
        for number in range(60):
            nursery.start_soon(retire, number)
    assert retired == [True] * 60
    assert (await directory.planes([0], ["ep.apns.parent.0"]))["ep.apns.parent.0"] == {}
    await assert_in_keeping_with_itself(directory, [f"p{at}" for at in range(60)])


# --- single changes ----------------------------------------------------------------------------------------------


async def test_concurrent_changes_of_one_person_lose_nothing(directory: StoreDirectory, store_url: str) -> None:
    await take(directory, person("a"), person("b"), person("c"))
    writers = [directory, StoreDirectory(Link(store_url)), StoreDirectory(Link(store_url))]

    async def add(writer: StoreDirectory, number: int) -> None:
        device = phone(f"{number}", (Platform.IOS, Platform.ANDROID)[number % 2])
        await writer.change("a", lambda p: msgspec.structs.replace(p, devices=(*p.devices, device)), NOW)

    async with trio.open_nursery() as nursery:
        for number in range(2 * SLOT_MAX):
            nursery.start_soon(add, writers[number % 3], number)
    changed = await directory.person("a")
    assert changed is not None
    assert {device.token for device in changed.devices} == {f"token-{number}" for number in range(2 * SLOT_MAX)}


async def test_concurrent_writers_fight_over_tokens_and_families_and_stay_in_keeping(
    directory: StoreDirectory, store_url: str
) -> None:
    ids = [f"p{at}" for at in range(6)]
    await take(directory, *(person(id) for id in ids))
    writers = [directory, StoreDirectory(Link(store_url)), StoreDirectory(Link(store_url))]

    async def play(at: int) -> None:
        for turn in range(12):
            child, guardian = ids[(at * 5 + turn) % 6], ids[(at * 5 + turn + 1 + turn % 5) % 6]
            line = pupil(child, ("1a", "1b", "2a")[(turn + at) % 3], guardian)
            assert await take(writers[at], msgspec.structs.replace(line, devices=(phone(f"{turn % 3}"),))) == []

    async with trio.open_nursery() as nursery:
        for at in range(3):
            nursery.start_soon(play, at)
    await assert_in_keeping_with_itself(directory, ids)
    assert await directory.repair() == 0


async def test_a_refused_change_says_why_and_changes_nothing(directory: StoreDirectory) -> None:
    await take(directory, person("a", "t1"))
    with pytest.raises(ChangeRefused, match=r"guardians\[0\]: there is no such person"):
        await directory.change("a", lambda p: msgspec.structs.replace(p, guardians=("x",)), NOW)
    with pytest.raises(ChangeRefused, match="id: a person keeps its id"):
        await directory.change("a", lambda p: msgspec.structs.replace(p, id="b"), NOW)
    assert await directory.person("a") == person("a", "t1")
    assert await directory.change("nobody", lambda p: p, NOW) is None


async def test_a_number_lives_until_its_person_is_gone(directory: StoreDirectory) -> None:
    await take(directory, person("a"), person("b"))
    numbers = await directory.numbers(["a", "b"])
    await take(directory, Gone(id="a"))
    assert [await directory.lives(number) for number in (*numbers.values(), 99_999)] == [False, True, False]
