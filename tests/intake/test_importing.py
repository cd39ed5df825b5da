"""The import client: chunks, resuming, refused lines, and plain words for what can go wrong."""

from __future__ import annotations

from io import BytesIO, StringIO
from pathlib import Path

import httpx
import msgspec
import pytest
import trio

from engine.importing import ImportFailed, chunks_of, import_file, read_key
from engine.intake.keys import Scope
from tests.intake.conftest import Town


def line(id: str, **fields: object) -> bytes:
    return msgspec.json.encode({"kind": "person", "id": id, "tenant": "0101", **fields}) + b"\n"


@pytest.fixture
def people(tmp_path: Path) -> Path:
    path = tmp_path / "people.ndjson"
    path.write_bytes(b"".join(line(f"p-{at}") for at in range(1, 26)))
    return path


class Cut(httpx.ASGITransport):
    """The way to the app; loses the answers of these calls (counted from 1), after the app has served them."""

    def __init__(self, town: Town, lost: tuple[int, ...] = ()) -> None:
        super().__init__(town.app)
        self.lost = lost
        self.calls = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.calls += 1
        response = await super().handle_async_request(request)
        if self.calls in self.lost:
            raise httpx.ReadError("cut")
        return response


async def no_wait(seconds: float) -> None:
    await trio.lowlevel.checkpoint()


async def test_a_file_goes_in_by_chunks(api: Town, people: Path) -> None:
    out = StringIO()
    transport = Cut(api)
    outcome = await import_file(
        people, "http://klokke", api.secrets["all"], chunk_lines=10, out=out, transport=transport
    )
    assert (outcome.taken, outcome.refused, outcome.exit_status) == (25, 0, 0)
    assert transport.calls == 1 + 3
    assert await api.directory.person("p-25") is not None
    assert "25 lines, 100 %" in out.getvalue()


async def test_refused_lines_are_named_and_the_rest_goes_in(api: Town, people: Path) -> None:
    with people.open("ab") as file:
        file.write(b"not json\n" + line("p-26"))
    out = StringIO()
    outcome = await import_file(people, "http://klokke", api.secrets["all"], out=out, transport=Cut(api))
    assert (outcome.taken, outcome.refused, outcome.exit_status) == (26, 1, 1)
    assert out.getvalue().startswith("line 26: ")


async def test_an_import_goes_on_where_it_stopped(api: Town, people: Path) -> None:
    with pytest.raises(ImportFailed, match="goes on where this one stopped"):
        await import_file(
            people,
            "http://klokke",
            api.secrets["all"],
            chunk_lines=10,
            out=StringIO(),
            transport=Cut(api, lost=(3, 4, 5, 6, 7)),
            sleep=no_wait,
        )
    outcome = await import_file(people, "http://klokke", api.secrets["all"], out=StringIO(), transport=Cut(api))
    assert (outcome.skipped, outcome.taken) == (20, 5)


async def test_a_lost_answer_is_asked_for_again(api: Town, people: Path) -> None:
    with people.open("ab") as file:
        file.write(b"not json\n")
    out = StringIO()
    outcome = await import_file(
        people,
        "http://klokke",
        api.secrets["all"],
        out=out,
        transport=Cut(api, lost=(2,)),
        sleep=no_wait,
    )
    assert (outcome.unlisted, outcome.exit_status) == (26, 1)
    assert "lines 1 to 26: 26 lines were handled in a request whose answer was lost" in out.getvalue()
    assert await api.directory.person("p-25") is not None
    outcome = await import_file(
        people, "http://klokke", api.secrets["all"], again=True, out=StringIO(), transport=Cut(api)
    )
    assert (outcome.taken, outcome.refused, outcome.unlisted) == (25, 1, 0)


@pytest.mark.parametrize(("service", "said"), [("school", "all tenants"), ("poor", "scope directory")])
async def test_a_key_that_may_not_import_is_told_so(api: Town, people: Path, service: str, said: str) -> None:
    api.add_service("poor", ("*",), (Scope.EVENTS,))
    api.make()
    with pytest.raises(ImportFailed, match=said):
        await import_file(people, "http://klokke", api.secrets[service], out=StringIO(), transport=Cut(api))


async def test_what_can_go_wrong_is_said_plainly(api: Town, people: Path, tmp_path: Path) -> None:
    with pytest.raises(ImportFailed, match="--key-file"):
        await import_file(people, "http://klokke", "wrong", out=StringIO(), transport=Cut(api))
    with pytest.raises(ImportFailed, match=r"none\.ndjson cannot be read: No such file"):
        await import_file(tmp_path / "none.ndjson", "http://klokke", "key")
    with pytest.raises(ImportFailed, match="Is it running"):
        await import_file(people, "http://127.0.0.1:9", "key", out=StringIO())
    with pytest.raises(ImportFailed, match="must start with http"):
        await import_file(people, "127.0.0.1:8600", "key", out=StringIO())
    for url in ("http://[::", "http://\ud800"):
        with pytest.raises(ImportFailed, match="cannot be read; write it as"):
            await import_file(people, url, "key", out=StringIO())
    with pytest.raises(ImportFailed, match="key file"):
        read_key(tmp_path / "none")


def test_chunks_are_whole_lines_and_count_from_the_file() -> None:
    body = b"".join(b"%d\n" % at for at in range(1, 8)) + b"8"
    chunks = list(chunks_of(BytesIO(body), 3, 4))
    assert [(chunk.first_line, chunk.lines) for chunk in chunks] == [(3, 4), (7, 2)]
    assert b"".join(chunk.body for chunk in chunks) == body[4:]


def test_a_chunk_of_long_lines_ends_before_the_limit() -> None:
    long = b"x" * (3 * 1024 * 1024) + b"\n"
    assert [chunk.lines for chunk in chunks_of(BytesIO(long * 3), 1, 5_000)] == [2, 1]
