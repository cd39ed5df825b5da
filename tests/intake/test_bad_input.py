"""What bad input gets: each row of the table, against the app with the real ledger. Never a 500."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio

from engine.intake.keys import Scope
from engine.intake.limits import BATCH_EVENTS_MAX, EVENT_BYTES_MAX
from queueing import embedded
from queueing.link import Link
from tests.intake.conftest import STRUCTURED, Town, calendar, codes, message, post, post_batch, problem, settle
from tests.intake.test_strict_json import MALFORMED, TOO_BIG

DAY_SECONDS = 86_400
_ROLE_OF_PEOPLE = {"people": ["a"], "role": "staff"}
_WRONG_TYPES = [
    "application/json",
    "text/plain",
    "",
    "application/cloudevents+json; charset=latin-1",
    "application/cloudevents+xml",
]


async def test_a_valid_event_gets_202_with_its_address_after_it_is_durable(api: Town) -> None:
    async with api.client() as client:
        response = await post(client, message())
        assert response.status_code == 202
        answer = response.json()
        assert answer["status_url"] == f"/v1/events/{answer['id']}" == response.headers["location"]
        assert "idempotent-replayed" not in response.headers
        report = await client.get(answer["status_url"])
        assert report.json()["event_id"] == "m-1"


async def test_a_repetition_gets_the_same_answer(api: Town) -> None:
    async with api.client() as client:
        first, again = await post(client, message()), await post(client, message())
    assert (again.status_code, again.content) == (202, first.content)
    assert again.headers["idempotent-replayed"] == "true"


async def test_a_repetition_is_known_by_content_not_by_bytes(api: Town) -> None:
    event = message(urgency="normal", sensitive=False)
    spaced = msgspec.json.format(msgspec.json.encode({**message(), "time": "2026-11-18T08:00:00Z"}), indent=4)
    async with api.client() as client:
        first, again = await post(client, event), await post(client, spaced)
    assert again.json() == first.json()
    assert again.headers["idempotent-replayed"] == "true"


async def test_a_repetition_after_the_expiry_gets_the_first_answer(api: Town) -> None:
    event = message(expires="2026-11-30T00:00:00Z")
    async with api.client() as client:
        first = await post(client, event)
        api.now_ms += 60 * DAY_SECONDS * 1000
        again = await post(client, event)
        fresh = problem(await post(client, message("m-2", expires="2026-11-30T00:00:00Z")), 422, "invalid")
        other = message("m-1", expires="2026-11-29T00:00:00Z")
        problem(await post(client, other), 422, "idempotency-mismatch")
    assert (again.status_code, again.json()) == (202, first.json())
    assert codes(fresh) == {"/data/expires": "in-the-past"}


async def test_other_content_under_the_same_key_is_refused(api: Town) -> None:
    async with api.client() as client:
        await post(client, message())
        problem(await post(client, message(urgency="urgent")), 422, "idempotency-mismatch")


async def test_two_at_once_with_one_key_are_one_event(api: Town) -> None:
    answers = []

    async def send() -> None:
        async with api.client() as client:
            answers.append(await post(client, message()))

    async with trio.open_nursery() as nursery:
        for _ in range(8):
            nursery.start_soon(send)
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1


@pytest.mark.parametrize("key", [None, "", "x" * 256, "bell \N{BELL}", "two words", "line\n"])
@pytest.mark.parametrize("attribute", ["id", "source"])
async def test_a_key_that_is_missing_long_or_not_ascii_gets_400(api: Town, attribute: str, key: str | None) -> None:
    event = message()
    event.pop(attribute) if key is None else event.update({attribute: key})
    async with api.client() as client:
        document = problem(await post(client, event), 400, "invalid-key")
        assert list(codes(document)) == [f"/{attribute}"]
        document = problem(await post_batch(client, [message("other"), event]), 400, "invalid-key")
        assert list(codes(document)) == [f"/1/{attribute}"]


@pytest.mark.parametrize("body", [row[0] for row in (MALFORMED | TOO_BIG).values()], ids=MALFORMED | TOO_BIG)
async def test_malformed_json_gets_400(api: Town, body: bytes) -> None:
    async with api.client() as client:
        problem(await post(client, body), 400, "malformed-json")
        inside = msgspec.json.encode(message()).replace(b'"Tur i skoven"', body)
        problem(await post(client, inside), 400, "malformed-json")
        problem(await post_batch(client, b"[" + inside + b"]"), 400, "malformed-json")
        response = await client.put("/v1/people/p", content=body, headers={"content-type": "application/json"})
        problem(response, 400, "malformed-json")


async def test_all_violations_are_listed_and_no_value_is_echoed(api: Town) -> None:
    event = message(
        audience={"include": [{"group": "3b-0101", "people": ["CANARY"]}, {"everyone": True}, {"group": "CANARY/x"}]},
        category="CANARY",
        expires="2020-01-01T00:00:00Z",
        texts={"da": {"title": "CANARY\r\nBcc: x", "body": 7}},
    )
    event |= {"type": "CANARY", "canaryattribute": "CANARY", "tenant": "0147"}
    async with api.client() as client:
        response = await post(client, event)
    assert "CANARY" not in response.text
    assert codes(problem(response, 422, "invalid")) == {
        "/type": "unknown-type",
        "/canaryattribute": "unknown-attribute",
        "/tenant": "other-tenant",
        "/data/category": "not-allowed",
        "/data/expires": "in-the-past",
        "/data/texts/da/title": "pattern",
        "/data/texts/da/body": "wrong-type",
        "/data/audience/include/0": "one-selector",
        "/data/audience/include/1/everyone": "national-only",
        "/data/audience/include/2/group": "pattern",
    }


@pytest.mark.parametrize(
    ("change", "pointer", "code"),
    [
        ({"urgent": True}, "/data/urgent", "unknown-field"),
        ({"roles": "staff"}, "/data/roles", "wrong-type"),
        ({"sensitive": "yes"}, "/data/sensitive", "wrong-type"),
        *[
            ({"link": link}, "/data/link", "pattern")
            for link in (
                "javascript:alert(1)",
                "//host/x",
                "/\\host",
                "http://host",
                "https://",
                "https:///x",
                "https://klokke.example@host/",
                "https://host\\@other",
                "ftp://host",
                "/a b",
                " /a",
            )
        ],
        ({"texts": {"da": {"title": "  ", "body": "b"}}}, "/data/texts/da/title", "pattern"),
        ({"texts": {"da": {"title": "\u200b\ufeff", "body": "b"}}}, "/data/texts/da/title", "pattern"),
        ({"texts": {"da": {"title": "a\u2066b", "body": "b"}}}, "/data/texts/da/title", "pattern"),
        ({"texts": {"da": {"title": "a", "body": ""}}}, "/data/texts/da/body", "too-short"),
        ({"texts": {"da": {"title": "a", "body": " \n\t\u00a0"}}}, "/data/texts/da/body", "pattern"),
        ({"texts": {"da": {"title": "a", "body": "b"}, "en": {"title": "a", "body": "\u200b\u2003"}}},
         "/data/texts/en/body", "pattern"),
        ({"texts": {"da": {"title": "a", "body": "b" * 10_001}}}, "/data/texts/da/body", "too-long"),
        ({"sender": " "}, "/data/sender", "pattern"),
        ({"audience": {"include": [{"municipality": "9999"}]}}, "/data/audience/include/0/municipality", "pattern"),
        ({"sender": "Mette\nBcc: a@b"}, "/data/sender", "pattern"),
        ({"texts": {"en": {"title": "a", "body": "b"}}}, "/data/texts/da", "missing"),
        ({"texts": {"da": {"title": "\u202egnp.exe", "body": "x"}}}, "/data/texts/da/title", "pattern"),
        ({"audience": {"include": []}}, "/data/audience/include", "too-short"),
        ({"audience": {"include": [{}]}}, "/data/audience/include/0", "one-selector"),
        ({"audience": {"include": [{"everyone": False}]}}, "/data/audience/include/0/everyone", "not-allowed"),
        ({"audience": {"include": [{"group": "{x}:y"}]}}, "/data/audience/include/0/group", "pattern"),
        ({"audience": {"include": [_ROLE_OF_PEOPLE]}}, "/data/audience/include/0/role", "role-without-scope"),
        ({"expires": "2020-01-01T00:00:00Z"}, "/data/expires", "in-the-past"),
        ({"expires": "2027-11-01T00:00:00Z"}, "/data/expires", "too-late"),
        ({"expires": "2026-11-30T08:00:00"}, "/data/expires", "pattern"),
        ({"expires": "2026-02-30T08:00:00Z"}, "/data/expires", "no-such-time"),
    ],
)  # fmt: skip
async def test_a_schema_violation_gets_422_with_its_pointer(
    api: Town, change: dict[str, Any], pointer: str, code: str
) -> None:
    async with api.client() as client:
        document = problem(await post(client, message(**change)), 422, "invalid")
    assert codes(document) == {pointer: code}


async def test_a_body_with_nothing_to_read_is_said_together_with_faults_of_the_form(api: Town) -> None:
    texts = {"da": {"title": "a", "body": "\u200b"}, "en": {"title": " ", "body": "\u2003"}}
    async with api.client() as client:
        document = problem(await post(client, message(texts=texts, sender=" ")), 422, "invalid")
    wrong = ("sender", "texts/da/body", "texts/en/title", "texts/en/body")
    assert codes(document) == {f"/data/{path}": "pattern" for path in wrong}


@pytest.mark.parametrize("texts", [{"title": "a\u0085b", "body": "b"}, {"title": "a", "body": "b\u0085"}])
@pytest.mark.parametrize("ascii", [True, False])
async def test_a_control_character_is_malformed_however_it_is_written(
    api: Town, texts: dict[str, str], ascii: bool
) -> None:
    body = json.dumps(message(texts={"da": texts}), ensure_ascii=ascii).encode()
    async with api.client() as client:
        problem(await post(client, body), 400, "malformed-json")


@pytest.mark.parametrize(
    ("change", "pointer", "code"),
    [
        ({"start": "2027-03-28T02:30:00", "end": None}, "start", "skipped-time"),
        ({"end": "2026-11-30T07:00:00"}, "end", "ends-before-start"),
        ({"end": "2026-12-01"}, "end", "mixed-times"),
        ({"timezone": "Europe/Kobenhavn"}, "timezone", "unknown-timezone"),
        ({"timezone": "../../etc/passwd"}, "timezone", "unknown-timezone"),
        ({"start": "2026-11-31T08:00:00"}, "start", "no-such-time"),
        ({"recurrence_rule": "FREQ=SECONDLY"}, "recurrence_rule", "recurrence-rule"),
        ({"recurrence_rule": "FREQ=DAILY;COUNT=-1"}, "recurrence_rule", "recurrence-rule"),
        ({"recurrence_rule": "FREQ=DAILY;UNTIL=20261129T000000Z"}, "recurrence_rule", "recurrence-rule"),
        ({"recurrence_rule": "freq=daily"}, "recurrence_rule", "pattern"),
        ({"start": "2026-11-30", "end": "2026-11-30"}, "end", "ends-before-start"),
        ({"start": "2026-11-30", "end": "2026-11-29"}, "end", "ends-before-start"),
        ({"end": "2028-11-30T08:00:00"}, "end", "too-long"),
        ({"start": "9999-12-31T23:59:59", "end": None}, "start", "no-such-time"),
        ({"start": "2199-12-31", "end": None}, "end", "no-such-time"),
        ({"timezone": "Factory"}, "timezone", "unknown-timezone"),
        ({"end": "9999-12-31T23:59:59"}, "end", "no-such-time"),
        ({"recurrence_id": "9999-12-31"}, "recurrence_id", "no-such-time"),
        ({"summary": "x" * 10_000}, "summary", "too-long"),
        ({"summary": "\t "}, "summary", "pattern"),
        ({"location": " "}, "location", "pattern"),
        ({"sequence": -1}, "sequence", "too-small"),
        ({"uid": ""}, "uid", "too-short"),
    ],
)  # fmt: skip
async def test_a_faulty_calendar_entry_gets_422(api: Town, change: dict[str, Any], pointer: str, code: str) -> None:
    async with api.client() as client:
        document = problem(await post(client, calendar(**change)), 422, "invalid")
    assert codes(document) == {f"/data/calendar/{pointer}": code}


@pytest.mark.parametrize("address", ["/messages/1", "/", "https://skole.example", "https://skole.example:8443/a?b=c#d"])
async def test_links_into_the_app_and_to_the_web_are_taken(api: Town, address: str) -> None:
    async with api.client() as client:
        assert (await post(client, message(link=address))).status_code == 202


async def test_unknown_people_refuse_the_event_by_index(api: Town) -> None:
    people = ["parent-0101", "nobody-1", "child-0101", "nobody-2"]
    async with api.client() as client:
        response = await post(client, message(audience={"include": [{"people": people}]}))
        assert codes(problem(response, 422, "invalid")) == {
            "/data/audience/include/0/people/1": "unknown-person",
            "/data/audience/include/0/people/3": "unknown-person",
        }
        assert "nobody" not in response.text
        assert (await post(client, message(audience={"include": [{"people": people[::2]}]}))).status_code == 202


async def test_more_than_2000_recipients_are_refused(api: Town) -> None:
    thousand = [f"p{at}" for at in range(1_001)]
    audience = {"include": [{"people": thousand}, {"guardians_of": thousand}]}
    async with api.client() as client:
        document = problem(await post(client, message(audience=audience)), 422, "invalid")
    assert codes(document) == {"/data/audience": "too-long"}


@pytest.mark.parametrize("kind", _WRONG_TYPES)
async def test_a_wrong_content_type_gets_415(api: Town, kind: str) -> None:
    async with api.client() as client:
        problem(await post(client, message(), **{"content-type": kind}), 415, "unsupported-media-type")


@pytest.mark.parametrize(
    ("accept", "status"),
    [("text/html", 406), ("application/json;q=0", 406), ("text/html, */*;q=0.1", 202), ("application/*", 202)],
)
async def test_an_accept_that_json_does_not_meet_gets_406(api: Town, accept: str, status: int) -> None:
    async with api.client() as client:
        response = await post(client, message(), accept=accept)
    assert response.status_code == status


async def test_a_body_that_is_too_large_gets_413_and_the_connection_closes(api: Town) -> None:
    async with api.client() as client:
        response = await post(client, b" " * (EVENT_BYTES_MAX + 1))
        problem(response, 413, "body-too-large")
        assert response.headers["connection"] == "close"

        async def endless() -> Any:
            for _ in range(100):
                yield b" " * 65_536

        response = await client.post("/v1/events", content=endless(), headers=STRUCTURED)
        problem(response, 413, "body-too-large")


async def test_a_compressed_body_gets_415(api: Town) -> None:
    async with api.client() as client:
        response = await post(client, b"\x1f\x8b\x08", **{"content-encoding": "gzip"})
        problem(response, 415, "unsupported-media-type")


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer wrong", "Basic {key}", "Bearer {key}x", "bearer  "])
async def test_no_key_and_a_wrong_key_look_alike(api: Town, header: str | None) -> None:
    async with api.client() as client:
        del client.headers["authorization"]
        headers = {} if header is None else {"authorization": header.format(key=api.secrets["school"])}
        response = await post(client, message(), **headers)
    document = problem(response, 401, "unauthorized")
    assert response.headers["www-authenticate"].startswith("Bearer")
    assert document["detail"] == "Send Authorization: Bearer <API key>."


async def test_a_key_without_the_scope_gets_403(api: Town) -> None:
    api.add_service("asker", ("0101",), (Scope.ASK,))
    api.make()
    async with api.client("asker") as client:
        problem(await post(client, message()), 403, "forbidden")
        problem(await client.get("/v1/people/child-0101"), 403, "forbidden")


async def test_what_belongs_to_another_tenant_does_not_exist(api: Town) -> None:
    async with api.client() as client:
        url = (await post(client, message())).json()["status_url"]
    async with api.client("other") as stranger:
        for response in (
            await stranger.get(url),
            await stranger.delete(url),
            await stranger.get(f"{url}/recipients/parent-0101"),
            await stranger.get("/v1/people/child-0101"),
            await stranger.delete("/v1/people/child-0101"),
            await stranger.put("/v1/people/child-0101/email", json={"email": None}),
            await stranger.post("/v1/inbox-tickets", json={"person": "child-0101"}),
            await stranger.put("/v1/municipalities/0101/strategies/post", json={"channels": []}),
            await stranger.put("/v1/institutions/school-0101", json={"tenant": "0147", "name": "x"}),
            await stranger.put("/v1/groups/3b-0101", json={"institution": "school-0147", "name": "x"}),
            await stranger.put("/v1/people/child-0101", json={"tenant": "0147"}),
        ):
            problem(response, 404, "not-found")
    assert api.withdrawn == []
    assert await api.directory.scope_tenant("group/3b-0101") == "0101"
    child = await api.directory.person("child-0101")
    assert child is not None
    assert child.tenant == "0101"


async def test_a_wrong_method_gets_405_with_what_is_allowed(api: Town) -> None:
    async with api.client() as client:
        response = await client.put("/v1/events", json={})
        problem(response, 405, "method-not-allowed")
        assert response.headers["allow"] == "POST"
        response = await client.patch("/v1/events/e0000000000000")
        assert response.headers["allow"] == "DELETE, GET, HEAD"
        problem(await client.get("/v2/events"), 404, "not-found")


async def test_a_service_over_its_rate_or_quota_gets_429(api: Town) -> None:
    api.add_service("fast", ("0101",), (Scope.EVENTS,), rate_per_second=2, per_day=6)
    async with trio.open_nursery() as nursery:
        await nursery.start(api.make().run)
        async with api.client("fast") as client:
            answers = [await post(client, message(f"m-{at}")) for at in range(5)]
            assert [answer.status_code for answer in answers] == [202] * 4 + [429]
            problem(answers[4], 429, "rate-limit")
            assert answers[4].headers["retry-after"] == "1"
            api.now_ms += 2_000
            assert [(await post(client, message(f"n-{at}"))).status_code for at in range(2)] == [202] * 2
            response = await post(client, message("one-more"))
            problem(response, 429, "quota")
            assert 0 < int(response.headers["retry-after"]) <= DAY_SECONDS
        nursery.cancel_scope.cancel()


async def test_a_lost_store_gets_503_at_once_and_recovers(tmp_path: Path) -> None:
    server = embedded.start(tmp_path)
    town = Town(Link(embedded.url(tmp_path)))
    await settle(town.directory)
    town.make()
    async with trio.open_nursery() as nursery, town.client() as client:
        await nursery.start(town.app.run)
        server.kill()
        server.wait()
        with trio.fail_after(1):
            response = await post(client, message())
        problem(response, 503, "store-unavailable")
        assert response.headers["retry-after"] == "1"
        for other in (await client.get("/v1/people/x"), await client.get("/readyz")):
            problem(other, 503, "store-unavailable")
        server = embedded.start(tmp_path)
        assert (await post(client, message())).status_code == 202
        nursery.cancel_scope.cancel()
    embedded.stop(server)


async def test_an_internal_error_says_nothing_but_an_instance(api: Town, caplog: pytest.LogCaptureFixture) -> None:
    async def broken(event: int) -> None:
        raise RuntimeError("CANARY")

    api.withdraw = broken  # type: ignore[method-assign]
    async with trio.open_nursery() as nursery:
        await nursery.start(api.make().run)
        async with api.client() as client:
            url = (await post(client, message())).json()["status_url"]
            response = await client.delete(url)
        nursery.cancel_scope.cancel()
    document = problem(response, 500, "internal")
    assert document["instance"] in caplog.text
    assert "RuntimeError" in caplog.text
    assert "CANARY" not in caplog.text + response.text


async def test_one_bad_event_refuses_its_whole_batch(api: Town) -> None:
    async with api.client() as client:
        batch = [message("b-0"), message("b-1", category="x"), calendar("b-2", end="2026-11-30T07:00:00")]
        document = problem(await post_batch(client, batch), 422, "invalid")
        assert codes(document) == {"/1/data/category": "not-allowed", "/2/data/calendar/end": "ends-before-start"}
        again = await post(client, message("b-0", sender="someone else"))
    assert "idempotent-replayed" not in again.headers
    assert again.status_code == 202


@pytest.mark.parametrize(
    "body",
    [[], {}, 7, [message(f"b-{at}") for at in range(BATCH_EVENTS_MAX + 1)]],
    ids=["none", "object", "number", "1001"],
)
async def test_a_batch_is_a_list_of_1_to_1000_events(api: Town, body: Any) -> None:
    async with api.client() as client:
        response = await post_batch(client, body)
    assert response.status_code in (400, 422)


async def test_a_batch_with_keys_used_before_says_which_and_admits_the_rest(api: Town) -> None:
    async with api.client() as client:
        await post(client, message("b-1"))
        batch = [message("b-0"), message("b-1", urgency="urgent"), message("b-2")]
        document = problem(await post_batch(client, batch), 422, "idempotency-mismatch")
        assert codes(document) == {"/1": "idempotency-mismatch"}
        assert [result is None for result in document["results"]] == [False, True, False]
        assert (await client.get(document["results"][2]["status_url"])).json()["event_id"] == "b-2"


async def test_binary_mode_and_base64_data_are_refused_with_the_remedy(api: Town) -> None:
    async with api.client() as client:
        response = await client.post("/v1/events", json={}, headers={"ce-specversion": "1.0", "ce-id": "1"})
        assert "binary mode" in problem(response, 415, "unsupported-media-type")["detail"]
        event = {**message(), "data_base64": "e30="}
        document = problem(await post(client, event), 422, "invalid")
        assert document["errors"] == [
            {"pointer": "/data_base64", "code": "unknown-field", "detail": "data is JSON here: use data"}
        ]
