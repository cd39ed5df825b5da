"""Rosters of a person: its own posts, and its children's places."""

from __future__ import annotations

import pytest

from engine.records.words import Role
from engine.rules.membership import Place, Post, pupil_places, rosters_of

SCHOOL = Place("s1", "0101", ("3b", "chess"))
DAYCARE = Place("d1", "0147", ())

CASES: list[tuple[str, list[Post], list[tuple[Place, ...]], set[str]]] = [
    ("nobody", [], [], set()),
    (
        "a pupil of two groups",
        [Post(Role.PUPIL, SCHOOL)],
        [],
        {"group/3b/pupil", "group/chess/pupil", "institution/s1/pupil", "municipality/0101/pupil", "everyone/pupil"},
    ),
    (
        "staff without a group",
        [Post(Role.STAFF, DAYCARE)],
        [],
        {"institution/d1/staff", "municipality/0147/staff", "everyone/staff"},
    ),
    (
        "a guardian of a child in day-care",
        [],
        [(DAYCARE,)],
        {"institution/d1/guardian", "municipality/0147/guardian", "everyone/guardian"},
    ),
    (
        "staff who is a parent too",
        [Post(Role.STAFF, DAYCARE)],
        [(Place("d1", "0147", ("bees",)),)],
        {
            *("institution/d1/staff", "municipality/0147/staff", "everyone/staff"),
            *("group/bees/guardian", "institution/d1/guardian", "municipality/0147/guardian", "everyone/guardian"),
        },
    ),
    ("a child that is a pupil nowhere", [], [()], set()),
]


@pytest.mark.parametrize(("posts", "children", "rosters"), [case[1:] for case in CASES], ids=[c[0] for c in CASES])
def test_rosters_follow_from_posts_and_children(
    posts: list[Post], children: list[tuple[Place, ...]], rosters: set[str]
) -> None:
    assert rosters_of(posts, children) == rosters


def test_guardians_follow_a_child_only_where_it_is_a_pupil() -> None:
    assert pupil_places([Post(Role.STAFF, DAYCARE), Post(Role.PUPIL, SCHOOL)]) == (SCHOOL,)
