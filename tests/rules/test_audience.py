"""Audiences: what is fetched, and that bit-sliced evaluation equals asking each person by itself."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.records.event import Audience, Term
from engine.records.roster import numbers_of, roster_of
from engine.records.words import Role
from engine.rules.audience import Facts, Needs, evaluate, needs
from tests.rules.people import people

ROSTERS = [
    f"{scope}/{role}" for scope in ("group/3b", "institution/s1", "municipality/0101", "everyone") for role in Role
]
roles = st.one_of(st.none(), st.sampled_from(Role))
ids = st.lists(st.sampled_from(["anna", "bo", "carl", "nobody"]), min_size=1, max_size=3, unique=True).map(tuple)
terms = st.one_of(
    st.builds(lambda role: Term(group="3b", role=role), roles),
    st.builds(lambda role: Term(institution="s1", role=role), roles),
    st.builds(lambda role: Term(municipality="0101", role=role), roles),
    st.builds(lambda role: Term(everyone=True, role=role), roles),
    st.builds(lambda chosen: Term(people=chosen), ids),
    st.builds(lambda chosen: Term(guardians_of=chosen), ids),
)
audiences = st.builds(
    lambda include, exclude: Audience(include=tuple(include), exclude=tuple(exclude)),
    st.lists(terms, min_size=1, max_size=4),
    st.lists(terms, max_size=3),
)


def test_a_term_without_a_role_needs_all_three() -> None:
    asked = needs(Audience(include=(Term(group="3b"),), exclude=(Term(everyone=True, role=Role.STAFF),)))
    assert asked.rosters == {"group/3b/pupil", "group/3b/guardian", "group/3b/staff", "everyone/staff"}


def test_people_and_guardians_are_named_by_id() -> None:
    asked = needs(
        Audience(include=(Term(people=("a", "b")), Term(guardians_of=("c",))), exclude=(Term(people=("d",)),))
    )
    assert asked == Needs(frozenset(), frozenset({"a", "b", "d"}), frozenset({("c",)}))


@given(
    audiences,
    st.fixed_dictionaries(dict.fromkeys(ROSTERS, people)),
    st.fixed_dictionaries({"anna": st.just(3), "bo": st.just(300), "carl": st.just(7)}),
    st.dictionaries(ids, people),
)
def test_evaluation_equals_asking_each_person(
    audience: Audience,
    members: dict[str, frozenset[int]],
    numbers: dict[str, int],
    guardians: dict[tuple[str, ...], frozenset[int]],
) -> None:
    facts = Facts(
        {name: roster_of(who) for name, who in members.items()},
        numbers,
        {pupils: roster_of(who) for pupils, who in guardians.items()},
    )

    def means(term: Term, number: int) -> bool:
        if term.people is not None:
            return any(numbers.get(id) == number for id in term.people)
        if term.guardians_of is not None:
            return number in guardians.get(term.guardians_of, ())
        scope = "everyone"
        for kind in ("group", "institution", "municipality"):
            if getattr(term, kind):
                scope = f"{kind}/{getattr(term, kind)}"
        return any(number in members[f"{scope}/{role}"] for role in Role if term.role in (None, role))

    everybody = set().union(*members.values(), *guardians.values(), numbers.values())
    expected = [
        number
        for number in sorted(everybody)
        if any(means(term, number) for term in audience.include)
        and not any(means(term, number) for term in audience.exclude)
    ]
    assert list(numbers_of(evaluate(audience, facts))) == expected
