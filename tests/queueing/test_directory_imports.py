"""NDJSON over HTTP: what is refused and how it is said, and how an import goes on after a cut."""

from __future__ import annotations

import msgspec
import pytest
import trio

from engine.records.errors import ChangeRefused
from engine.records.person import Device, Gone, Group, Institution, Line, Person, Profile
from engine.records.words import Platform, Role
from engine.rules.devices import DeviceRules
from queueing.directory import StoreDirectory
from queueing.directory.imports import Imports
from queueing.directory.ndjson import LINE_BYTES_MAX, read_line
from queueing.link import Link
from tests.queueing.directory_oracle import CATALOGUE
from tests.queueing.test_directory_people import person, pupil, take

NOW = 1_700_000_000_000
SECRET = "SECRET-TOKEN-OR-ADDRESS"

PERSON = '{"kind":"person","id":"a","tenant":"0101"'
LINES: list[tuple[str, str]] = [
    ("", "line: not a JSON object"),
    ("{", "line: not a JSON object"),
    ("null", "line: expected object, got null"),
    ("[1]", "line: expected object, got array"),
    ('{"id":"a"}', "kind: missing"),
    (f'{{"kind":"{SECRET}","id":"a"}}', "kind: not one of the allowed values"),
    ('{"kind":"person","id":"a"}', "tenant: missing"),
    ('{"kind":"person","id":"a","tenant":"9999"}', "tenant: must be the code of one of the 98 Danish municipalities"),
    (
        '{"kind":"strategy","tenant":"9999","category":"post","channels":[]}',
        "tenant: must be the code of one of the 98",
    ),
    (PERSON + ',"emial":"x"}', "emial: unknown field"),
    (PERSON + f',"{SECRET}@x":"x"}}', "line: unknown field"),
    (PERSON + ',"devices":[{"platform":"ios","app":"p","token":"12345678","x":1}]}', "devices[0].x: unknown field"),
    (PERSON + f',"email":"{SECRET}"}}', "email: must be a bare e-mail address"),
    (PERSON + f',"email":"{SECRET}@x.dk\\n"}}', "email: must be a bare e-mail address"),
    (PERSON + f',"email":"{SECRET * 20}@x.dk"}}', "email: of length <= 254"),
    (PERSON + ',"devices":[{"platform":"ios","app":"p","token":"S"}]}', "devices[0].token: of length >= 8"),
    (PERSON + f',"devices":[{{"platform":"{SECRET}","app":"p"}}]}}', "devices[0].platform: not one of the allowed"),
    (PERSON + f',"off":{{"push":["{SECRET}"]}}}}', "off[0]: not one of the allowed values"),
    (PERSON + ',"quiet":[{"days":[7],"from":"20:00","until":"06:00"}]}', "quiet[0].days[0]: expected int <= 6"),
    (
        PERSON + ',"quiet":[{"days":[1],"from":"20:15","until":"06:00"}]}',
        "quiet[0].from: must be a time on the half hour",
    ),
    ('{"kind":"person","id":"a\\n","tenant":"0101"}', "id: must be letters"),
    ('{"kind":"person","id":"a","tenant":NaN}', "line: not a JSON object"),
    ('{"kind":"group","id":"a","institution":"s","name":"\\ud800"}', "line: not a JSON object"),
    ('{"kind":"person","id":"a","tenant":"0101","id":"b"}', "line: a field stands twice"),
    (PERSON + ',"devices":[{"platform":"ios","app":"p","app":"q","token":"12345678"}]}', "line: a field stands twice"),
    ('{"kind":"person","id" :"a","tenant":"0101","id":"b"}', "line: a field stands twice"),
    ('{"kind":"person","\\u0069d":"a","tenant":"0101","id":"b"}', "line: a field stands twice"),
    (
        PERSON
        + ',"profiles":[{"institution":"s","role":"staff","groups":["a"],"groups":["a"]},'
        + '{"institution":"s","role":"staff"}]}',
        "line: a field stands twice",
    ),
    (PERSON + ',"email":"a@b.dk","off":{"push":["post"],"push":["post"]}}', "line: a field stands twice"),
    ('{"kind":"gone","id":"a","id":"a"}', "line: a field stands twice"),
    (PERSON + ',"name":"A","name":"B"}', "line: a field stands twice"),
    (PERSON + f',"name":"{SECRET}\\""}}', "name: must be a given name"),
    (PERSON + f',"name":" {SECRET}"}}', "name: must be a given name"),
    *(
        (PERSON + f',"name":"{name}"}}', "name: must be a given name")
        for name in ("\u200b", "\ufeffa", "\U000e0041", "{children}", "<b>", "http://x.dk", "12", "-")
    ),
    (PERSON + f',"name":"{SECRET * 9}"}}', "name: of length <= 60"),
    ("\ufeff" + PERSON + "}", "line: starts with a byte order mark"),
    ("[" * 60_000, "line: expected object, got array"),
    (PERSON + "}" + " " * LINE_BYTES_MAX, "line: longer than 65536 bytes"),
]


@pytest.mark.parametrize(("line", "sentence"), LINES, ids=[f"{at}-{case[1][:40]}" for at, case in enumerate(LINES)])
def test_a_bad_line_is_refused_by_field_and_fault_and_never_shows_a_value(line: str, sentence: str) -> None:
    answer = read_line(line.encode())
    assert isinstance(answer, str)
    assert answer.startswith(sentence)
    assert SECRET not in answer


def test_bad_utf8_is_refused() -> None:
    assert read_line(b'{"kind":"group","id":"a","institution":"s","name":"\xff"}') == "line: not valid UTF-8"


FULL = Person(
    id="a",
    tenant="0101",
    name="Åse-Marie Bo",
    email="a@example.dk",
    profiles=(Profile(institution="s1", role=Role.PUPIL, groups=("1a",)), Profile(institution="s1", role=Role.STAFF)),
    guardians=("b",),
    devices=(Device(platform=Platform.IOS, app="parent", token="12345678"),),
)


@pytest.mark.parametrize("spaced", [False, True])
@pytest.mark.parametrize(
    "line",
    [FULL, Person(id="a", tenant="dk"), Gone(id="a"), Institution(id="s", tenant="0101", name='Æ: "x":')],
    ids=["full", "bare", "gone", "institution"],
)
def test_a_good_line_is_read_back(line: Line, spaced: bool) -> None:
    raw = msgspec.json.encode(line)
    assert read_line(msgspec.json.format(raw, indent=1 if spaced else 0).replace(b"\n", b" ")) == line
    with_defaults = {**msgspec.to_builtins(line)}
    if isinstance(line, Person):
        with_defaults = {"language": "da", "email": None, "off": {}, "quiet": [], **with_defaults}
    assert read_line(msgspec.json.encode(with_defaults)) == line


REFUSALS: list[tuple[Line, str]] = [
    (
        person("x", guardians=("a", "nobody")),
        "guardians[1]: there is no such person; put guardians before their children",
    ),
    (person("x", guardians=("x",)), "guardians[0]: a person is not its own guardian"),
    (person("x", guardians=("a", "a")), "guardians: one of them stands twice"),
    (person("x", guardians=("left",)), "guardians[0]: there is no such person"),
    (person("x", profiles=(Profile(institution="s9", role=Role.STAFF),)), "profiles[0].institution: is not known"),
    (
        person("x", profiles=(Profile(institution="s1", role=Role.STAFF, groups=("9x",)),)),
        "profiles[0].groups[0]: is not known",
    ),
    (
        person("x", profiles=(Profile(institution="s1", role=Role.STAFF, groups=("2a",)),)),
        "profiles[0].groups[0]: belongs to another institution",
    ),
    (
        person("x", profiles=(Profile(institution="s1", role=Role.GUARDIAN),)),
        "profiles[0].role: guardian is no profile",
    ),
    (person("x", SECRET, SECRET), "devices: two of them have the same token"),
    (Gone(id="nobody"), "id: there is no such person"),
    (Group(id="g", institution="s9", name="g"), "institution: is not known"),
    (Group(id="1a", institution="s2", name="1a"), "institution: the group belongs to another one"),
    (Institution(id="s1", tenant="0147", name="s1"), "tenant: an institution keeps its tenant"),
]


async def test_a_device_that_no_lane_reaches_is_refused_with_the_apps_that_there_are(link: Link) -> None:
    directory = StoreDirectory(link, DeviceRules(lanes=("apns.parent", "apns.staff", "email", "inapp")))
    devices = [
        Device(platform=Platform.IOS, app="parent", token="token-one"),
        Device(platform=Platform.IOS, app="parnt", token="token-two"),
        Device(platform=Platform.ANDROID, app="parent", token="token-three"),
    ]
    lines = [(at, person(f"p{at}", devices=(devices[0], device))) for at, device in enumerate(devices[1:], 1)]
    assert [answer.reason for answer in await directory.apply([*lines, (3, person("p3"))], NOW)] == [
        "devices[1].app: the configuration has no lane for this app on ios; must be one of parent, staff",
        "devices[1].app: the configuration has no lane for this app on android; no app has one",
    ]
    assert set(await directory.numbers(["p1", "p2", "p3"])) == {"p3"}
    with pytest.raises(ChangeRefused, match=r"^app: the configuration has no lane"):
        await directory.register("p3", devices[1], NOW)
    assert await directory.register("p3", devices[0], NOW)


async def test_a_device_that_has_lost_its_lane_does_not_bar_other_changes(link: Link) -> None:
    old = Device(platform=Platform.IOS, app="old", token="token-one")
    await take(StoreDirectory(link), person("a", devices=(old,)))
    changed = await StoreDirectory(link, DeviceRules(lanes=("email",))).change(
        "a", lambda there: msgspec.structs.replace(there, email="a@example.dk"), NOW
    )
    assert changed is not None
    assert changed.devices == (old,)


@pytest.mark.parametrize(("line", "sentence"), REFUSALS, ids=[case[1][:50] for case in REFUSALS])
async def test_a_line_that_refers_to_nothing_is_refused_and_the_rest_goes_in(
    link: Link, line: Line, sentence: str
) -> None:
    directory = StoreDirectory(link)
    await take(directory, *CATALOGUE, person("a"), person("left"), Gone(id="left"))
    answers = await directory.apply([(7, person("before")), (8, line), (9, person("after"))], NOW)
    assert [answer.line for answer in answers] == [8]
    assert answers[0].reason.startswith(sentence)
    assert SECRET not in answers[0].reason
    assert (await directory.numbers(["before", "x", "after"])).keys() == {"before", "after"}


async def test_references_must_stand_before_what_refers_to_them_in_one_batch_too(link: Link) -> None:
    directory = StoreDirectory(link)
    institution = Institution(id="s1", tenant="0101", name="s1")
    group = Group(id="1a", institution="s1", name="1a")
    child = pupil("child", "1a", "mum")
    refused = await directory.apply(list(enumerate([group, child, institution, group, child, person("mum"), child])), 0)
    assert [refusal.line for refusal in refused] == [0, 1, 4]


def body(*lines: Line) -> bytes:
    return b"".join(msgspec.json.encode(line) + b"\n" for line in lines)


async def test_an_import_counts_lines_and_goes_on_where_it_was(link: Link) -> None:
    directory = StoreDirectory(link)
    imports = Imports(link, directory)
    assert await imports.next_line("first") == 1
    chunk = body(*CATALOGUE) + b"\n{bad}\n" + body(person("a"), pupil("b", "1a", "nobody"), pupil("c", "1a", "a"))
    answer = await imports.take_chunk("first", 1, chunk, NOW)
    count = len(CATALOGUE) + 5
    assert [refusal.line for refusal in answer.refused] == [count - 3, count - 1]
    assert (answer.taken, answer.next_line) == (count - 3, count + 1)
    again = await imports.take_chunk("first", 1, chunk + body(person("d")), NOW)
    assert (again.taken, again.refused, again.next_line) == (1, [], count + 2)
    gap = await imports.take_chunk("first", count + 9, body(person("e")), NOW)
    assert (gap.taken, gap.next_line) == (0, count + 2)
    assert await imports.next_line("first") == count + 2
    assert await imports.next_line("second") == 1
    assert (await directory.numbers(["a", "b", "c", "d", "e"])).keys() == {"a", "c", "d"}


async def test_an_import_that_was_cut_off_is_resumed_without_loss(link: Link, store_url: str) -> None:
    lines = [*CATALOGUE, *(person(f"p{at}") for at in range(5000))]
    imports = Imports(link, StoreDirectory(link))
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:

            async def cut_after_the_first_step() -> None:
                while await imports.next_line("x") == 1:
                    await trio.lowlevel.checkpoint()
                scope.cancel()

            nursery.start_soon(cut_after_the_first_step)
            await imports.take_chunk("x", 1, body(*lines), NOW)
    assert scope.cancelled_caught
    other = Link(store_url)
    resumed = Imports(other, StoreDirectory(other))
    next_line = await resumed.next_line("x")
    assert 1 < next_line <= len(lines)
    answer = await resumed.take_chunk("x", next_line, body(*lines[next_line - 1 :]), NOW)
    assert (answer.refused, answer.next_line) == ([], len(lines) + 1)
    numbers = await StoreDirectory(other).numbers([f"p{at}" for at in range(5000)])
    assert len(set(numbers.values())) == 5000
    assert max(numbers.values()) < 5000 + len(lines) - next_line + 1, "the cut wastes one step's numbers at most"
    other.close()
