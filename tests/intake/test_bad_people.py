"""What careless people, devices, guardians, names and municipalities get: a pointer and the remedy."""

from __future__ import annotations

from typing import Any

import pytest

from tests.intake.conftest import Town, codes, message, post, problem


async def test_a_municipality_that_denmark_does_not_have_is_refused_everywhere(api: Town) -> None:
    async with api.client("all") as client:
        document = problem(await post(client, {**message(), "tenant": "9999"}), 422, "invalid")
        assert codes(document) == {"/tenant": "pattern"}
        assert "one of the 98 Danish municipalities" in document["errors"][0]["detail"]
        for path in ("/v1/people/p", "/v1/institutions/s"):
            document = problem(await client.put(path, json={"tenant": "9999", "name": "x"}), 422, "invalid")
            assert codes(document)["/tenant"] == "pattern"
        problem(await client.put("/v1/municipalities/9999/strategies/post", json={"channels": []}), 404, "not-found")
        assert (
            await post(client, {**message(audience={"include": [{"municipality": "0825"}]}), "tenant": "0825"})
        ).status_code == 202  # Læsø: nobody there yet is no fault


async def test_a_device_of_an_app_without_lane_is_refused_with_the_apps_that_there_are(api: Town) -> None:
    device = {"platform": "ios", "app": "parnt", "token": "0123456789"}
    async with api.client() as client:
        person = {"tenant": "0101", "devices": [{**device, "app": "parent", "token": "9876543210"}, device]}
        document = problem(await client.put("/v1/people/p", json=person), 422, "invalid")
        assert codes(document) == {"/devices/1/app": "refused"}
        assert document["errors"][0]["detail"].endswith("no lane for this app on ios; must be one of parent, staff")
        document = problem(await client.post("/v1/people/parent-0101/devices", json=device), 422, "invalid")
        assert codes(document) == {"/app": "refused"}
        device["app"] = "parent"
        assert (await client.post("/v1/people/parent-0101/devices", json=device)).status_code == 204


@pytest.mark.parametrize(
    ("person", "pointer", "code"),
    [
        ({"email": "a@b..dk"}, "/email", "pattern"),
        ({"email": "a@.dk"}, "/email", "pattern"),
        ({"email": "a@b.dk."}, "/email", "pattern"),
        ({"email": "a@-b.dk"}, "/email", "pattern"),
        ({"email": "a" * 65 + "@b.dk"}, "/email", "pattern"),
        ({"quiet": [{"days": [], "from": "21:00", "until": "07:00"}]}, "/quiet/0/days", "too-short"),
        ({"quiet": [{"days": [0], "from": "21:00", "until": "07:00"}] * 51}, "/quiet", "too-long"),
        ({"guardians": [f"g-{n}" for n in range(21)]}, "/guardians", "too-long"),
        ({"profiles": [{"institution": "s", "role": "staff"}] * 51}, "/profiles", "too-long"),
        ({"devices": [{"platform": "ios", "app": "parent", "token": f"token-{n:04}"} for n in range(201)]},
         "/devices", "too-long"),
    ],
)  # fmt: skip
async def test_a_careless_person_is_refused(api: Town, person: dict[str, Any], pointer: str, code: str) -> None:
    async with api.client() as client:
        document = problem(await client.put("/v1/people/p", json={"tenant": "0101", **person}), 422, "invalid")
    assert codes(document) == {pointer: code}


@pytest.mark.parametrize("name", ["", "  ", "\u200b", "a\u202eb", "x" * 201])
async def test_a_name_that_cannot_be_read_is_refused(api: Town, name: str) -> None:
    async with api.client() as client:
        for path, body in (
            ("/v1/institutions/s", {"tenant": "0101"}),
            ("/v1/groups/g", {"institution": "school-0101"}),
        ):
            assert "/name" in codes(problem(await client.put(path, json={**body, "name": name}), 422, "invalid"))


async def test_unknown_guardians_are_pointed_at_by_index_and_not_named(api: Town) -> None:
    guardians = ["parent-0101", "nobody-1"]
    async with api.client() as client:
        for path, body in (("/v1/people/c", {"tenant": "0101"}), ("/v1/people/child-0101/guardians", {})):
            response = await client.put(path, json={**body, "guardians": guardians})
            assert list(codes(problem(response, 422, "invalid"))) == ["/guardians/1"]
            assert "nobody" not in response.text
        own = problem(
            await client.put("/v1/people/child-0101/guardians", json={"guardians": ["child-0101"]}), 422, "invalid"
        )
        assert codes(own) == {"/guardians/0": "refused"}
