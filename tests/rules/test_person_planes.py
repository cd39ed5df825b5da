"""The planes of a person."""

from __future__ import annotations

from engine.records.words import Category, Channel, Language, Role
from engine.rules.person_planes import planes_of


def test_a_plain_person_is_in_all_only() -> None:
    assert planes_of(language=Language.DA, roles=(), off={}, endpoints=(), bad_email=False) == {"all"}


def test_every_fact_has_its_plane() -> None:
    planes = planes_of(
        language=Language.EN,
        roles=(Role.STAFF, Role.GUARDIAN),
        off={Channel.PUSH: (Category.POST, Category.SURVEY), Channel.INAPP: ()},
        endpoints=[("apns.parent", 0), ("apns.parent", 3), ("email", 0)],
        bad_email=True,
    )
    assert planes == {
        *("all", "en", "role.staff", "role.guardian", "off.push.post", "off.push.survey"),
        *("ep.apns.parent.0", "ep.apns.parent.3", "ep.email.0", "bad.email"),
    }
