"""Random lines over few ids, so that families, groups and tokens collide."""

from __future__ import annotations

from hypothesis import strategies as st

from engine.records.person import Device, Gone, Line, Person, Profile, QuietHours
from engine.records.words import Category, Channel, Language, Platform, Role
from tests.queueing.directory_oracle import GROUPS, INSTITUTIONS, PUSH_SERVICE
from tests.webpush.browsers import browser

IDS = [f"p{number}" for number in range(7)]
ids = st.sampled_from(IDS)


@st.composite
def profiles(draw: st.DrawFn) -> Profile:
    institution = draw(st.sampled_from(list(INSTITUTIONS)))
    groups = [group for group, parent in GROUPS.items() if parent == institution]
    role = draw(st.sampled_from([Role.PUPIL, Role.PUPIL, Role.STAFF]))
    return Profile(
        institution=institution, role=role, groups=tuple(draw(st.lists(st.sampled_from(groups), unique=True)))
    )


phones = st.builds(
    Device,
    platform=st.sampled_from([Platform.IOS, Platform.ANDROID]),
    app=st.just("parent"),
    token=st.integers(0, 5).map(lambda number: f"token-{number:04d}"),
)
browsers = st.integers(0, 2).map(lambda number: browser().device(f"{PUSH_SERVICE}/push/{number}"))
devices = st.one_of(phones, phones, browsers)
quiet = st.builds(
    QuietHours,
    days=st.sampled_from([(0, 1, 2, 3, 4), (6,), (4, 2)]),
    start=st.sampled_from(["20:00", "22:30"]),
    until=st.sampled_from(["06:00", "23:30"]),
)
people = st.builds(
    Person,
    id=ids,
    tenant=st.sampled_from(["0101", "0147"]),
    name=st.sampled_from([None, "Anna", "Åse-Marie Bo"]),
    language=st.sampled_from(Language),
    email=st.sampled_from([None, "a@example.dk", "b@example.dk"]),
    profiles=st.lists(profiles(), max_size=2).map(tuple),
    guardians=st.lists(ids, max_size=2).map(tuple),
    devices=st.lists(devices, max_size=3).map(tuple),
    off=st.dictionaries(
        st.sampled_from(Channel),
        st.lists(st.sampled_from([Category.MESSAGE, Category.POST]), unique=True).map(tuple),
        max_size=1,
    ),
    quiet=st.lists(quiet, max_size=1).map(tuple),
)
lines: st.SearchStrategy[Line] = st.one_of(people, people, people, st.builds(Gone, id=ids))
