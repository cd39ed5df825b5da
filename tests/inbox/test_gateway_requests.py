"""Lists, counts and marks over HTTP, and what bad requests get."""

from __future__ import annotations

from typing import Any

import h11
import pytest
import trio

from channels.inapp.problems import PROBLEMS
from engine.records.event import public_id
from engine.records.inbox import ItemState
from engine.records.roster import roster_of
from engine.rules.tickets import mint
from queueing.link import Link
from tests.inbox.app import IDA, NOW_MS, OLE, SECRET, TOM, house


async def test_a_list_shows_what_was_delivered_newest_first(link: Link) -> None:
    async with house(link) as at:
        for number in (16, 32, 48):
            await at.inbox.deliver(at.events.add(number, f"Nr. {number}"), roster_of([TOM]), broadcast=number == 32)
        answer = await at.app().ask("GET", "/v1/inbox")

    assert answer.status == 200
    assert [item["title"] for item in answer.json["items"]] == ["Nr. 48", "Nr. 32", "Nr. 16"]
    assert answer.json["unread"] == 3
    assert answer.json["next"] is None
    first = answer.json["items"][0]
    assert first | {"at": ""} == {
        "event": public_id(48),
        "title": "Nr. 48",
        "body": "Nr. 48 æøå",
        "sender": "Åse",
        "link": "https://skole.example/1",
        "category": "message",
        "at": "",
        "state": "new",
    }
    assert first["at"].endswith("Z")


async def test_pages_follow_each_other_without_gap_or_repeat(link: Link) -> None:
    async with house(link) as at:
        for number in range(1, 8):
            await at.inbox.deliver(at.events.add(number, str(number)), roster_of([TOM]), broadcast=False)
        at.events.cancel(4)
        titles, target = [], "/v1/inbox?limit=2"
        while target:
            page = (await at.app().ask("GET", target)).json
            titles.append([item["title"] for item in page["items"]])
            target = f"/v1/inbox?limit=2&before={page['next']}" if page["next"] else ""

    assert titles == [["7", "6"], ["5", "3"], ["2", "1"]]


async def test_sensitive_items_are_shown_in_full_behind_the_login(link: Link) -> None:
    async with house(link) as at:
        await at.inbox.deliver(at.events.add(5, "Fortroligt", sensitive=True), roster_of([TOM]), broadcast=False)

        assert (await at.app().ask("GET", "/v1/inbox")).json["items"][0]["title"] == "Fortroligt"


async def test_an_app_reads_the_language_it_asks_for(link: Link) -> None:
    async with house(link) as at:
        await at.inbox.deliver(at.events.add(5), roster_of([TOM]), broadcast=False)
        wanted = {}
        for spelled in ("en-GB,en;q=0.9", "da;q=0.5, en;q=0.8", "fr", "", "en;q=x, da"):
            answer = await at.app(language=spelled).ask("GET", "/v1/inbox")
            wanted[spelled] = answer.json["items"][0]["title"]

    assert list(wanted.values()) == ["Hej (en)", "Hej (en)", "Hej", "Hej", "Hej"]


async def test_marks_move_forward_and_back_only_when_asked(link: Link) -> None:
    async with house(link) as at:
        for number in (1, 2):
            await at.inbox.deliver(at.events.add(number), roster_of([TOM]), broadcast=number == 2)
        app, both = at.app(), [public_id(1), public_id(2)]

        assert (await app.ask("POST", "/v1/inbox/marks", {"events": both, "state": "read"})).json == {"changed": 2}
        assert (await app.ask("GET", "/v1/inbox/unread")).json == {"unread": 0}
        assert (await app.ask("POST", "/v1/inbox/marks", {"events": both, "state": "seen"})).json == {"changed": 0}
        back = {"events": both[:1], "state": "seen", "backwards": True}
        assert (await app.ask("POST", "/v1/inbox/marks", back)).json == {"changed": 1}
        assert (await app.ask("GET", "/v1/inbox/unread")).json == {"unread": 1}


async def test_a_cancelled_event_is_gone_from_list_and_count(link: Link) -> None:
    async with house(link) as at:
        for number in (1, 2):
            await at.inbox.deliver(at.events.add(number, str(number)), roster_of([TOM]), broadcast=False)
        at.events.cancel(1)
        answer = await at.app().ask("GET", "/v1/inbox")

    assert [item["title"] for item in answer.json["items"]] == ["2"]
    assert answer.json["unread"] == 1


async def test_a_ticket_opens_its_own_persons_inbox_only(link: Link) -> None:
    async with house(link) as at:
        await at.inbox.deliver(at.events.add(1, "Toms"), roster_of([TOM]), broadcast=True)
        await at.inbox.deliver(at.events.add(2, "Idas"), roster_of([IDA]), broadcast=False)
        await at.app(TOM).ask("POST", "/v1/inbox/marks", {"events": [public_id(2)], "state": "archived"})
        lists = [(await at.app(number).ask("GET", "/v1/inbox")).json["items"] for number in (TOM, IDA, OLE)]

    assert [[item["title"] for item in items] for items in lists] == [["Toms"], ["Idas"], []]
    assert lists[1][0]["state"] == "new"


@pytest.mark.parametrize(
    "ticket",
    [
        "",
        "nonsense",
        "æøå",
        mint(b"x" * 32, TOM, "0101", NOW_MS + 1_000),
        mint(SECRET, TOM, "0101", NOW_MS),
        mint(SECRET, TOM, "0101", NOW_MS + 1_000)[:-2] + "AA",
    ],
)
async def test_a_ticket_that_is_not_valid_is_401_without_saying_why(link: Link, ticket: str) -> None:
    async with house(link) as at:
        answers = [
            await at.app(ticket=ticket).ask(method, f"/v1/inbox{path}")
            for method, path in (("GET", ""), ("GET", "/unread"), ("POST", "/marks"), ("GET", "/stream"))
        ]

    for answer in answers:
        assert answer.status == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json["type"] == "urn:klokke:problem:unauthorized"


@pytest.mark.parametrize(
    ("method", "target", "body", "status", "word"),
    [
        ("GET", "/", None, 404, "paths"),
        ("GET", "/v1/inbox/", None, 404, "paths"),
        ("DELETE", "/v1/inbox", None, 405, "GET"),
        ("GET", "/v1/inbox/marks", None, 405, "POST"),
        ("GET", "/v1/inbox?limit=0", None, 400, "limit"),
        ("GET", "/v1/inbox?limit=101", None, 400, "limit"),
        ("GET", "/v1/inbox?limit=0000000050", None, 400, "limit"),
        ("GET", "/v1/inbox?before=1", None, 400, "before"),
        ("GET", "/v1/inbox?page=1", None, 400, "limit and before"),
        ("GET", "/v1/inbox?limit=1&limit=2", None, 400, "once"),
        ("POST", "/v1/inbox/marks", b"{", 400, "JSON"),
        ("POST", "/v1/inbox/marks", {"events": [], "state": "read"}, 422, "events"),
        ("POST", "/v1/inbox/marks", {"events": ["x"], "state": "read"}, 422, "events[0]"),
        ("POST", "/v1/inbox/marks", {"events": [public_id(1)], "state": "new"}, 422, "state"),
        ("POST", "/v1/inbox/marks", {"events": [public_id(1)], "state": "read", "x": 1}, 422, "x"),
        ("POST", "/v1/inbox/marks", {"events": [public_id(1)] * 501, "state": "read"}, 422, "events"),
        ("POST", "/v1/inbox/marks", b"x" * 70_000, 413, "65536"),
        ("POST", "/v1/inbox/marks", b"x" * 5_000_000, 413, "65536"),
        ("POST", "/v1/nothing", b"x" * 5_000_000, 404, "paths"),
    ],
)
async def test_a_bad_request_is_told_what_was_wrong(
    link: Link, method: str, target: str, body: Any, status: int, word: str
) -> None:
    async with house(link) as at:
        answer = await at.app().ask(method, target, body)

    assert answer.status == answer.json["status"] == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert word in answer.json["detail"]
    assert PROBLEMS[answer.json["type"].removeprefix("urn:klokke:problem:")][0] == status
    assert [error["pointer"] for error in answer.json.get("errors", [])] == POINTERS.get((status, word), [])


POINTERS = {
    (422, "events"): ["/events"],
    (422, "events[0]"): ["/events/0"],
    (422, "state"): ["/state"],
    (422, "x"): [""],
}


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "", "application/json; charset=x"])
async def test_marks_are_json_and_say_so(link: Link, kind: str) -> None:
    async with house(link) as at:
        await at.inbox.deliver(at.events.add(1), roster_of([TOM]), broadcast=False)
        marks = {"events": [public_id(1)], "state": "read"}
        answer = await at.app().ask("POST", "/v1/inbox/marks", marks, Content_Type=kind)
        packed = await at.app().ask("POST", "/v1/inbox/marks", marks, Content_Encoding="gzip")
        good = await at.app().ask("POST", "/v1/inbox/marks", marks, Content_Type="application/json; charset=UTF-8")

    assert (answer.status, packed.status, good.json) == (415, 415, {"changed": 1})
    assert "application/json" in answer.json["detail"]


async def test_a_large_body_is_refused_before_it_is_sent(link: Link) -> None:
    async with house(link) as at, await at.app().connect() as connection:
        head = f"POST /v1/inbox/marks HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer {at.app().ticket}\r\n"
        head += "Content-Type: application/json\r\nContent-Length: 5000000\r\nExpect: 100-continue\r\n\r\n"
        await connection.send_all(head.encode())
        received = await connection.receive_some(65_536)

    assert received.startswith(b"HTTP/1.1 413 ")


async def test_the_ticket_of_a_person_who_has_left_opens_nothing(link: Link) -> None:
    async with house(link) as at:
        await at.inbox.deliver(at.events.add(1), roster_of([TOM, IDA]), broadcast=False)
        at.gone.add(TOM)
        answers = [
            await at.app(TOM).ask(method, f"/v1/inbox{path}")
            for method, path in (("GET", ""), ("GET", "/unread"), ("POST", "/marks"), ("GET", "/stream"))
        ]
        other = await at.app(IDA).ask("GET", "/v1/inbox/unread")

    assert [answer.status for answer in answers] == [401] * 4
    assert other.json == {"unread": 1}


async def test_a_target_may_spell_out_the_host(link: Link) -> None:
    async with house(link) as at:
        answers = [
            await at.app().ask("GET", target)
            for target in (
                f"http://127.0.0.1:{at.port}/v1/inbox/unread",
                "http://gateway",
                "http://gateway/v1/inbox?limit=0",
            )
        ]

    assert [answer.status for answer in answers] == [200, 404, 400]


async def test_a_stream_cannot_begin_at_an_id_that_we_never_sent(link: Link) -> None:
    async with house(link) as at:
        answer = await at.app().ask("GET", "/v1/inbox/stream", Last_Event_ID="17")

    assert (answer.status, "Last-Event-ID" in answer.json["detail"]) == (400, True)


async def test_one_person_who_asks_too_often_is_told_to_wait_and_others_are_not(link: Link) -> None:
    async with house(link, requests_burst=3, requests_per_second=0.01) as at:
        statuses = [(await at.app(TOM).ask("GET", "/v1/inbox/unread")) for _ in range(4)]
        other = await at.app(IDA).ask("GET", "/v1/inbox/unread")

    assert [answer.status for answer in statuses] == [200, 200, 200, 429]
    assert int(statuses[3].headers["retry-after"]) > 0
    assert other.status == 200


@pytest.mark.parametrize("target", ["/", "/nope", "/healthz", "/v1/inbox", "/v1/inbox/stream"])
async def test_head_is_answered_with_a_head_alone_and_the_gateway_lives_on(link: Link, target: str) -> None:
    async with house(link) as at:
        async with await at.app().connect() as connection:
            await connection.send_all(f"HEAD {target} HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n".encode())
            got = b"".join([part async for part in connection])
        assert got.startswith(b"HTTP/1.1 ")
        assert got.endswith(b"\r\n\r\n")
        assert (await at.app().ask("GET", "/v1/inbox/unread")).status == 200


async def test_a_kept_connection_answers_many_requests(link: Link) -> None:
    async with house(link) as at:
        app = at.app()
        async with await app.connect() as connection:
            http = h11.Connection(h11.CLIENT)
            for target, status in (("/v1/inbox", 200), ("/nothing", 404), ("/v1/inbox/unread", 200)):
                assert (await app.ask_on(connection, http, "GET", target)).status == status
                http.start_next_cycle()


async def read_all(connection: trio.SocketStream) -> bytes:
    received = b""
    while part := await connection.receive_some(65_536):
        received += part
    return received


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /v1/inbox HTTP/1.1\r\nHost", b"408"),
        (
            b"POST /v1/inbox/marks HTTP/1.1\r\nHost: g\r\nContent-Length: 50\r\nContent-Type: application/json\r\n"
            b"Authorization: Bearer %b\r\n\r\n{",
            b"408",
        ),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: g\r\nX: " + b"a" * 40_000 + b"\r\n\r\n", b"431"),
        (b"POST / HTTP/1.1\r\nHost: g\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nHost: g\r\nContent-Length: x\r\n\r\n", b"400"),
    ],
)
async def test_what_is_slow_or_no_http_is_answered_and_closed(link: Link, sent: bytes, status: bytes) -> None:
    async with house(link, header_seconds=0.2, body_seconds=0.2) as at, await at.app().connect() as connection:
        await connection.send_all(sent.replace(b"%b", at.app().ticket.encode()))
        received = await read_all(connection)

    assert received.startswith(b"HTTP/1.1 " + status)
    assert received.count(b"HTTP/1.1 4") == 1


async def drip(connection: trio.SocketStream, data: bytes) -> None:
    for byte in data:
        await connection.send_all(bytes([byte]))
        await trio.sleep(0.02)


async def test_a_byte_now_and_then_does_not_keep_a_connection(link: Link) -> None:
    async with house(link, header_seconds=0.3) as at, await at.app().connect() as connection:
        started = trio.current_time()
        with pytest.raises(trio.BrokenResourceError):
            await drip(connection, b"GET /v1/inbox HTTP/1.1\r\nX-Slow: " + b"a" * 1_000)

    assert trio.current_time() - started < 3


async def test_a_silent_connection_is_closed_without_a_word(link: Link) -> None:
    async with house(link, idle_seconds=0.1) as at, await at.app().connect() as connection:
        assert await read_all(connection) == b""


async def test_beyond_the_cap_a_connection_is_told_to_come_back(link: Link) -> None:
    async with house(link, connections_max=2) as at, at.app(TOM).stream():
        await at.until(lambda figures: figures.connections == 1)
        async with at.app(IDA).stream():
            await at.until(lambda figures: figures.connections == 2)
            answer = await at.app(OLE).ask("GET", "/v1/inbox")

    assert (answer.status, answer.headers["retry-after"]) == (503, "5")


async def test_a_store_that_is_away_is_503_and_the_gateway_answers_again_when_it_is_back(link: Link) -> None:
    async with house(link) as at:
        at.events.is_away = True
        await at.inbox.deliver(at.events.add(1), roster_of([TOM]), broadcast=False)
        away = await at.app().ask("GET", "/v1/inbox")
        at.events.is_away = False
        back = await at.app().ask("GET", "/v1/inbox")

    assert (away.status, back.status) == (503, 200)


async def test_seen_is_not_yet_read(link: Link) -> None:
    async with house(link) as at:
        await at.inbox.deliver(at.events.add(1), roster_of([TOM]), broadcast=False)
        await at.inbox.mark(TOM, [1], ItemState.SEEN)

        assert (await at.app().ask("GET", "/v1/inbox/unread")).json == {"unread": 1}
