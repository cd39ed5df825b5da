"""Policy: the order of the rules, and that bit-sliced evaluation equals asking one person at a time."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from engine.records.event import Event
from engine.records.roster import Roster, numbers_of, roster_of
from engine.records.words import CHANNELS, Category, Channel, Reason, Role, Urgency
from engine.rules.planes import Route
from engine.rules.policy import ALL_CHANNELS, Verdict, judge, planes_needed, routes_of
from tests.rules.people import event

LANES = ("apns.parent", "fcm.parent", "email", "inapp")
ROUTES = routes_of(LANES)
SAMPLE = [Route("apns.parent", 0), Route("apns.parent", 3), Route("fcm.parent", 1), Route("email", 0)]


class Wishes(NamedTuple):
    """One person, as the naive oracle knows them."""

    roles: frozenset[Role] = frozenset()
    off: frozenset[Channel] = frozenset()
    endpoints: frozenset[Route] = frozenset()
    is_bad: bool = False


wishes = st.builds(
    Wishes,
    st.frozensets(st.sampled_from(Role)),
    st.frozensets(st.sampled_from(Channel)),
    st.frozensets(st.sampled_from(SAMPLE)),
    st.booleans(),
)
crowds = st.dictionaries(st.integers(0, 600), wishes, max_size=25)


def planes_of(crowd: dict[int, Wishes], category: Category) -> dict[str, Roster]:
    planes: dict[str, set[int]] = {}
    for number, person in crowd.items():
        names = [f"role.{role}" for role in person.roles]
        names += [f"off.{channel}.{category}" for channel in person.off]
        names += [f"ep.{lane}.{slot}" for lane, slot in person.endpoints]
        names += ["bad.email"] if person.is_bad else []
        for name in names:
            planes.setdefault(name, set()).add(number)
    return {name: roster_of(who) for name, who in planes.items()}


def naive(of: Event, person: Wishes, channel: Channel, allowed: frozenset[Channel]) -> Reason | None:
    if of.roles and not person.roles & set(of.roles):
        return Reason.ROLE
    if channel not in allowed:
        return Reason.STRATEGY
    if of.urgency is not Urgency.EMERGENCY and channel in person.off:
        return Reason.OPTED_OUT
    if channel is not Channel.INAPP and not any(route.channel is channel for route in person.endpoints):
        return Reason.NO_ENDPOINT
    if channel is Channel.EMAIL and person.is_bad:
        return Reason.SUPPRESSED_ADDRESS
    return None


@given(
    crowds,
    st.frozensets(st.sampled_from(Role), max_size=2),
    st.sampled_from(Urgency),
    st.frozensets(st.sampled_from(Channel)),
    st.integers(1, 4),
)
def test_the_verdict_equals_asking_one_person_at_a_time(
    crowd: dict[int, Wishes], roles: frozenset[Role], urgency: Urgency, allowed: frozenset[Channel], chunks: int
) -> None:
    of = event(roles=tuple(roles), urgency=urgency)
    planes = planes_of(crowd, of.category)
    asked = {name: planes[name] for name in planes_needed(of, ROUTES, allowed) if name in planes}
    verdict = Verdict()
    numbers = sorted(crowd)
    for at in range(chunks):
        verdict.add(judge(of, roster_of(numbers[at::chunks]), ROUTES, asked, allowed))

    found = {(c, n): r for (c, r), who in verdict.suppressed.items() for n in numbers_of(who)}
    found_people = {(channel, n) for channel, who in verdict.people.items() for n in numbers_of(who)}
    found_deliveries = {(route, n) for route, who in verdict.deliveries.items() for n in numbers_of(who)}
    expected = {
        (channel, n): naive(of, person, channel, allowed) for n, person in crowd.items() for channel in CHANNELS
    }
    assert found == {key: reason for key, reason in expected.items() if reason}
    assert found_people == {key for key, reason in expected.items() if reason is None}
    assert found_deliveries == {
        (route, n)
        for n, person in crowd.items()
        for route in (*person.endpoints, Route("inapp", 0))
        if expected[route.channel, n] is None
    }


def test_the_first_rule_that_says_no_gives_the_reason() -> None:
    nobody = Wishes(off=frozenset(Channel), is_bad=True)
    of = event(roles=(Role.STAFF,))
    verdict = judge(of, {0: 1}, ROUTES, planes_of({0: nobody}, of.category), frozenset())
    assert set(verdict.suppressed) == {(channel, Reason.ROLE) for channel in Channel}
    verdict = judge(event(), {0: 1}, ROUTES, planes_of({0: nobody}, of.category), frozenset())
    assert set(verdict.suppressed) == {(channel, Reason.STRATEGY) for channel in Channel}


def test_an_emergency_passes_opt_out_but_not_the_strategy() -> None:
    person = Wishes(off=frozenset(Channel), endpoints=frozenset((Route("fcm.parent", 1),)))
    of = event(urgency=Urgency.EMERGENCY)
    verdict = judge(of, {0: 1}, ROUTES, planes_of({0: person}, of.category), {Channel.PUSH, Channel.EMAIL})
    assert verdict.deliveries == {Route("fcm.parent", 1): {0: 1}}
    assert verdict.suppressed[Channel.INAPP, Reason.STRATEGY] == {0: 1}


def test_a_channel_without_a_lane_is_not_spoken_of() -> None:
    assert set(judge(event(), {0: 1}, [Route("inapp", 0)], {}).people) == {Channel.INAPP}


def test_only_the_planes_that_matter_are_read() -> None:
    routes = routes_of(["email", "inapp"])
    assert planes_needed(event(), routes) == {
        "off.email.message", "off.inapp.message", "ep.email.0", "bad.email",
    }  # fmt: skip
    assert planes_needed(event(urgency=Urgency.EMERGENCY), routes) == {"ep.email.0", "bad.email"}
    assert planes_needed(event(roles=(Role.STAFF,)), routes, {Channel.INAPP}) == {"role.staff", "off.inapp.message"}


def test_a_push_lane_has_eight_slots() -> None:
    assert len(ROUTES) == 8 + 8 + 1 + 1
    assert frozenset(CHANNELS) == ALL_CHANNELS
