"""The e-mail sender against a relay that follows a script: every answer reaches the right recipient."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import trustme

from channels.email.answers import OUT_OF_TIME
from channels.email.client import EmailSender
from channels.email.settings import EmailSettings
from engine.outcomes import Accepted, Outcome, Rejected, Throttled, Unknown, Unreachable
from engine.records.words import EMAIL_LANE, Language, Urgency
from engine.records.work import Batch, Endpoint, delivery_id
from tests.mail.letters import event, read
from tests.mail.relay import HANG_UP, SILENCE, Answer, Relay, Script

PLAIN = ("8BITMIME",)  # no PIPELINING


def batch(count: int, *, addresses: Sequence[bytes] = (), deadline_seconds: float = 5.0, **fields: Any) -> Batch:
    people = addresses or [b"p%d@hjem.example" % number for number in range(count)]
    endpoints = [Endpoint(number, 1, address) for number, address in enumerate(people)]
    return Batch(
        event=event(**fields),
        lane=EMAIL_LANE,
        slot=0,
        language=Language.DA,
        endpoints=endpoints,
        deadline_seconds=deadline_seconds,
    )


@asynccontextmanager
async def sender_to(relay: Relay, **fields: Any) -> AsyncIterator[EmailSender]:
    async with trio.open_nursery() as nursery:
        await nursery.start(relay.run)
        given: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": relay.port,
            "tls": "none",
            "from_address": "n@skole.example",
        }
        sender = EmailSender(EmailSettings(**(given | {"connections_max": 1} | fields)))
        await nursery.start(sender.run)
        yield sender
        nursery.cancel_scope.cancel()


async def outcomes_of(relay: Relay, batch: Batch, **fields: Any) -> list[Outcome]:
    async with sender_to(relay, **fields) as sender:
        return list(await sender.send(batch))


def at_rcpt(answers: dict[str, str]) -> Script:
    def script(verb: str, rest: str, connection: int) -> Answer:
        return answers.get(rest.partition("@")[0].removeprefix("TO:<")) if verb == "RCPT" else None

    return script


@pytest.mark.parametrize("extensions", [Relay.extensions, PLAIN])
async def test_each_recipient_gets_a_message_of_their_own(extensions: tuple[str, ...]) -> None:
    relay = Relay(extensions=extensions)
    outcomes = await outcomes_of(relay, batch(30), connections_max=3)

    assert outcomes == [Accepted()] * 30
    assert {recipient for recipient, _ in relay.received} == {f"p{n}@hjem.example" for n in range(30)}
    for recipient, raw in relay.received:
        message = read(raw)
        number = int(recipient[1:].partition("@")[0])
        assert message["To"] == recipient
        assert message["Message-ID"] == f"<{delivery_id(77_777, number, EMAIL_LANE, 0, 1).hex()}@skole.example>"


async def test_a_letter_costs_one_round_trip_and_sessions_are_used_again() -> None:
    relay = Relay()
    async with sender_to(relay) as sender:
        await sender.send(batch(3))
        await sender.send(batch(3))

    assert relay.connections == 1
    assert [line.split(" ")[0] for line in relay.commands if line != "QUIT"] == ["EHLO"] + ["MAIL", "RCPT", "DATA"] * 6


@pytest.mark.parametrize("extensions", [Relay.extensions, PLAIN])
async def test_a_refused_recipient_leaves_the_others_alone(extensions: tuple[str, ...]) -> None:
    script = at_rcpt({"p1": "550 5.1.1 no such user", "p3": "451 4.7.1 greylisted", "p4": "552 5.2.2 full"})
    relay = Relay(script, extensions)
    outcomes = await outcomes_of(relay, batch(6))

    assert outcomes == [
        Accepted(),
        Rejected(reason="no_such_mailbox", endpoint_gone=True),
        Accepted(),
        Throttled(reason="greylisted", lane_wide=False, retry_after_seconds=300.0),
        Rejected(reason="mailbox_full"),
        Accepted(),
    ]
    assert len(relay.received) == 3
    assert relay.commands.count("RSET") == 3


async def test_a_354_without_a_recipient_gets_an_empty_message_and_no_content() -> None:
    def script(verb: str, rest: str, connection: int) -> Answer:
        if verb == "RCPT" and "p0@" in rest:
            return "550 5.1.1 no"
        return (
            "354 go on anyway"
            if verb == "DATA"
            else "554 5.5.1 no valid recipients"
            if rest == "" and verb == "CONTENT"
            else None
        )

    relay = Relay(script)
    outcomes = await outcomes_of(relay, batch(2))

    assert outcomes == [Rejected(reason="no_such_mailbox", endpoint_gone=True), Accepted()]
    assert [recipient for recipient, _ in relay.received] == ["p1@hjem.example"]


async def test_a_421_in_the_middle_ends_the_session_and_the_rest_goes_over_a_new_one() -> None:
    def script(verb: str, rest: str, connection: int) -> Answer:
        return (
            "421 4.3.2 too many messages in this session"
            if (verb, connection) == ("MAIL", 1) and relay.received
            else None
        )

    relay = Relay(script)
    outcomes = await outcomes_of(relay, batch(4))

    assert outcomes == [Accepted(), Throttled(reason="relay_closing", lane_wide=True), Accepted(), Accepted()]
    assert relay.connections == 2


async def test_a_421_as_the_greeting_slows_the_lane_for_all() -> None:
    relay = Relay(lambda verb, rest, connection: "421 4.3.2 busy" if verb == "GREETING" else None)

    assert await outcomes_of(relay, batch(3)) == [Throttled(reason="relay_closing", lane_wide=True)] * 3


@pytest.mark.parametrize("extensions", [Relay.extensions, PLAIN])
async def test_a_drop_after_the_final_dot_is_unknown_for_that_letter_only(extensions: tuple[str, ...]) -> None:
    def script(verb: str, rest: str, connection: int) -> Answer:
        return HANG_UP if verb == "CONTENT" and rest.startswith("p1@") else None

    relay = Relay(script, extensions)
    outcomes = await outcomes_of(relay, batch(4))

    assert outcomes == [Accepted(), Unknown(reason="connection_lost"), Accepted(), Accepted()]
    assert relay.connections == 2


async def test_a_drop_before_the_final_dot_is_tried_once_more_and_then_unreachable() -> None:
    def script(verb: str, rest: str, connection: int) -> Answer:
        return HANG_UP if verb == "RCPT" and "p1@" in rest else None

    relay = Relay(script)
    outcomes = await outcomes_of(relay, batch(3))

    assert outcomes == [Accepted(), Unreachable(reason="connection_lost"), Accepted()]
    assert sum(line.startswith("RCPT TO:<p1@") for line in relay.commands) == 2
    assert len(relay.received) == 2


async def test_an_idle_session_that_the_relay_ended_costs_nobody_an_attempt() -> None:
    def script(verb: str, rest: str, connection: int) -> Answer:
        return HANG_UP if verb == "MAIL" and connection == 1 and relay.received else None

    relay = Relay(script)
    async with sender_to(relay) as sender:
        first = await sender.send(batch(1))
        second = await sender.send(batch(1))

    assert list(first) + list(second) == [Accepted(), Accepted()]
    assert relay.connections == 2


async def test_when_the_relay_was_started_anew_all_idle_sessions_are_given_up() -> None:
    def script(verb: str, rest: str, connection: int) -> Answer:
        return HANG_UP if verb == "MAIL" and connection <= 3 and len(relay.received) >= 24 else None

    relay = Relay(script)
    async with sender_to(relay, connections_max=3) as sender:
        await sender.send(batch(24))
        outcomes = list(await sender.send(batch(20)))

    assert outcomes == [Accepted()] * 20
    assert len(relay.received) == 44


async def test_a_slow_answer_to_the_final_dot_is_unknown_and_the_rest_goes_on() -> None:
    def script(verb: str, rest: str, connection: int) -> Answer:
        return SILENCE if verb == "CONTENT" and rest.startswith("p0@") else None

    outcomes = await outcomes_of(Relay(script), batch(3), answer_seconds=0.2)

    assert outcomes == [Unknown(reason="no_answer"), Accepted(), Accepted()]


async def test_a_relay_that_never_answers_costs_no_more_than_the_deadline() -> None:
    def script(verb: str, rest: str, connection: int) -> Answer:
        return SILENCE if verb == "RCPT" else None

    started = trio.current_time()
    outcomes = await outcomes_of(Relay(script), batch(3, deadline_seconds=0.3))

    assert outcomes == [Unreachable(reason="no_answer")] + [OUT_OF_TIME] * 2
    assert trio.current_time() - started < 3


async def test_nobody_listening_is_unreachable_for_all() -> None:
    with trio.socket.socket() as free:
        await free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    sender = EmailSender(EmailSettings(host="127.0.0.1", port=port, tls="none", from_address="n@skole.example"))

    assert list(await sender.send(batch(20))) == [Unreachable(reason="no_connection")] * 20


async def test_something_that_is_no_smtp_server_is_unreachable() -> None:
    relay = Relay(lambda verb, rest, connection: "HTTP/1.1 400 Bad Request" if verb == "GREETING" else None)

    assert await outcomes_of(relay, batch(1)) == [Unreachable(reason="no_connection")]


async def test_an_address_that_could_end_a_line_never_reaches_the_wire() -> None:
    hostile = [b"a@b.dk>\r\nRCPT TO:<x@y.dk", b"a b@c.dk", b"a@b.dk\n", b"@b.dk", b"<a@b.dk>", b"fine@b.dk"]
    relay = Relay()
    outcomes = await outcomes_of(relay, batch(0, addresses=hostile))

    assert outcomes == [Rejected(reason="bad_address")] * 5 + [Accepted()]
    assert [recipient for recipient, _ in relay.received] == ["fine@b.dk"]


async def test_a_local_part_with_danish_letters_needs_a_relay_that_knows_smtputf8() -> None:
    addresses = ["søren@hjem.example".encode(), b"ole@hjem.example"]
    able, unable = Relay(), Relay(extensions=("PIPELINING",))

    assert await outcomes_of(able, batch(0, addresses=addresses)) == [Accepted()] * 2
    assert await outcomes_of(unable, batch(0, addresses=addresses)) == [
        Rejected(reason="relay_lacks_smtputf8"),
        Accepted(),
    ]
    assert [line.endswith("SMTPUTF8") for line in able.commands if line.startswith("MAIL")] == [True, False]


async def test_urgent_letters_do_not_wait_behind_a_stuck_blast() -> None:
    reached = trio.Event()

    def script(verb: str, rest: str, connection: int) -> Answer:
        if verb == "CONTENT" and connection == 1:
            reached.set()
            return SILENCE
        return None

    async with sender_to(Relay(script), answer_seconds=30) as sender, trio.open_nursery() as nursery:
        nursery.start_soon(sender.send, batch(1))
        await reached.wait()
        assert list(await sender.send(batch(1, urgency=Urgency.URGENT))) == [Accepted()]
        nursery.cancel_scope.cancel()


async def test_idle_sessions_are_ended_politely() -> None:
    relay = Relay()
    async with sender_to(relay, idle_seconds=0.05) as sender:
        await sender.send(batch(1))
        with trio.fail_after(5):
            await relay.first_closed.wait()

    assert relay.commands[-1] == "QUIT"


# --- TLS and login -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    ca = trustme.CA()
    folder = Path(tmp_path_factory.mktemp("tls"))
    ca.cert_pem.write_to_path(str(folder / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    return folder / "ca.pem", context


@pytest.mark.parametrize("logins", ["AUTH PLAIN LOGIN", "AUTH LOGIN"])
async def test_starttls_and_login_come_before_the_first_letter(
    authority: tuple[Path, ssl.SSLContext], logins: str
) -> None:
    ca_file, context = authority
    relay = Relay(extensions=("PIPELINING", "STARTTLS", logins), tls=context)
    outcomes = await outcomes_of(
        relay, batch(2), tls="starttls", ca_file=ca_file, username="klokke", password="hunter2"
    )

    assert outcomes == [Accepted()] * 2
    assert [line.split(" ")[0] for line in relay.commands[:4]] == ["EHLO", "STARTTLS", "EHLO", "AUTH"]


async def test_words_slipped_in_behind_the_starttls_answer_are_not_the_relays(
    authority: tuple[Path, ssl.SSLContext],
) -> None:
    ca_file, context = authority

    def script(verb: str, rest: str, connection: int) -> Answer:
        return "220 2.0.0 go on\r\n250 injected" if verb == "STARTTLS" else None

    relay = Relay(script, ("PIPELINING", "STARTTLS"), tls=context)

    assert await outcomes_of(relay, batch(2), tls="starttls", ca_file=ca_file) == [Accepted()] * 2
    assert relay.connections == 1


async def test_implicit_tls_works(authority: tuple[Path, ssl.SSLContext]) -> None:
    ca_file, context = authority
    relay = Relay(tls=context, is_implicit=True)

    assert await outcomes_of(relay, batch(2), tls="implicit", ca_file=ca_file) == [Accepted()] * 2


async def test_an_unknown_certificate_parks_the_lane(authority: tuple[Path, ssl.SSLContext]) -> None:
    relay = Relay(extensions=("STARTTLS",), tls=authority[1])

    assert await outcomes_of(relay, batch(2), tls="starttls") == [Unreachable(reason="tls_untrusted", park=True)] * 2
    assert not relay.received


async def test_a_relay_without_starttls_gets_no_letter() -> None:
    relay = Relay()

    assert await outcomes_of(relay, batch(1), tls="starttls") == [Unreachable(reason="starttls_not_offered", park=True)]
    assert not [line for line in relay.commands if line.startswith("MAIL")]


async def test_wrong_credentials_park_the_lane_and_are_shown_nowhere(
    authority: tuple[Path, ssl.SSLContext], capfd: pytest.CaptureFixture[str]
) -> None:
    ca_file, context = authority
    relay = Relay(extensions=("STARTTLS", "AUTH PLAIN"), tls=context)
    outcomes = await outcomes_of(
        relay, batch(1), tls="starttls", ca_file=ca_file, username="klokke", password="letmein9"
    )

    assert outcomes == [Unreachable(reason="relay_refused_login", park=True)]
    assert "letmein9" not in repr(outcomes) + "".join(capfd.readouterr())
