"""ApnsSender and FcmSender against the scripted peer: credentials, second tries, and what stays secret."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import cache, partial
from typing import Any
from urllib.parse import parse_qs

import jwt
import pytest
import trio
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from channels.apns.client import ApnsSender, ApnsSettings
from channels.apns.credential import ProviderToken
from channels.fcm.client import FcmSender, FcmSettings
from channels.http2.jobs import RESENDS_MAX
from engine.outcomes import ACCEPTED, Outcome, Rejected, Unknown, Unreachable
from tests.channels.events import EVENT, batch_of, changed
from tests.channels.peer import Line, Peer, Request, certificates

TOKENS = [b"%064x" % index for index in range(20)]
MALFORMED = Rejected(reason="malformed_token", endpoint_gone=True)


@cache
def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@cache
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def apns_settings(port: int) -> ApnsSettings:
    return ApnsSettings(
        topic="dk.klokke.parent",
        team_id="TEAM567890",
        key_id="KEY4567890",
        private_key_pem=pem(ec_key()),
        base_url=f"https://localhost:{port}",
        ca_file=certificates()[1],
        connections_max=2,
    )


@asynccontextmanager
async def apns_sending_to(peer: Peer) -> AsyncIterator[ApnsSender]:
    async with trio.open_nursery() as nursery:
        await nursery.start(peer.run)
        sender = ApnsSender(apns_settings(peer.port))
        await nursery.start(sender.run)
        yield sender
        nursery.cancel_scope.cancel()


def refusing(status: int, reason: str, when: Callable[[Line, Request], bool]) -> Callable[[Line, Request], None]:
    def script(line: Line, request: Request) -> None:
        if when(line, request):
            line.answer(request, status, json.dumps({"reason": reason}).encode())
        else:
            line.answer(request)

    return script


async def test_outcomes_stand_in_the_order_of_the_endpoints() -> None:
    peer = Peer(refusing(400, "BadDeviceToken", lambda line, request: request.token.endswith("5")))
    async with apns_sending_to(peer) as sender:
        outcomes = await sender.send(batch_of(TOKENS))
    gone = Rejected(reason="BadDeviceToken", endpoint_gone=True)
    assert outcomes == [gone if index % 16 == 5 else ACCEPTED for index in range(20)]


async def test_a_token_that_is_no_hexadecimal_is_rejected_unsent_and_its_neighbours_go() -> None:
    peer = Peer()
    async with apns_sending_to(peer) as sender:
        outcomes = await sender.send(batch_of([TOKENS[0], b"../../x", TOKENS[1], b"", b"abc\r\n"]))
        assert await sender.send(batch_of([b"zz"])) == [MALFORMED]
        assert await sender.send(batch_of([])) == []
    assert outcomes == [ACCEPTED, MALFORMED, ACCEPTED, MALFORMED, MALFORMED]
    assert sorted(request.token.encode() for request in peer.requests) == TOKENS[:2]


async def test_a_storm_of_expired_provider_tokens_makes_one_renewal() -> None:
    refused: set[str] = set()

    def is_first_token(line: Line, request: Request) -> bool:
        if not refused:
            refused.add(request.headers["authorization"])
        return request.headers["authorization"] in refused

    peer = Peer(refusing(403, "ExpiredProviderToken", is_first_token))
    ends: list[Sequence[Outcome]] = []
    async with apns_sending_to(peer) as sender, trio.open_nursery() as nursery:

        async def send(number: int) -> None:
            ends.append(await sender.send(batch_of(TOKENS[:3], changed(EVENT, number=number))))

        for number in range(6):
            nursery.start_soon(send, number)
    assert ends == [[ACCEPTED] * 3] * 6
    assert len({request.headers["authorization"] for request in peer.requests}) == 2


async def test_a_renewed_provider_token_that_is_refused_too_parks_the_lane() -> None:
    peer = Peer(refusing(403, "ExpiredProviderToken", lambda line, request: True))
    async with apns_sending_to(peer) as sender:
        assert await sender.send(batch_of(TOKENS[:2])) == [Unreachable(reason="ExpiredProviderToken", park=True)] * 2
        assert await sender.send(batch_of(TOKENS[:1])) == [Unreachable(reason="ExpiredProviderToken", park=True)]
    assert len({request.headers["authorization"] for request in peer.requests}) == 2


@pytest.mark.parametrize(
    ("status", "reason"), [(400, "IdleTimeout"), (403, "UnrelatedKeyIdInToken"), (503, "Shutdown")]
)
async def test_a_connection_at_fault_is_left_and_the_push_goes_out_on_another(status: int, reason: str) -> None:
    peer = Peer(refusing(status, reason, lambda line, request: line is peer.lines[0]))
    async with apns_sending_to(peer) as sender:
        assert await sender.send(batch_of(TOKENS[:1])) == [ACCEPTED]
    first, second = (line.requests[0].headers for line in peer.lines)
    assert first["apns-id"] == second["apns-id"]


async def test_a_payload_called_too_large_is_sent_once_with_the_short_text() -> None:
    peer = Peer(refusing(413, "PayloadTooLarge", lambda line, request: b"Klasse 3B" in request.body))
    async with apns_sending_to(peer) as sender:
        assert await sender.send(batch_of(TOKENS[:3])) == [ACCEPTED] * 3
        peer.script = refusing(413, "PayloadTooLarge", lambda line, request: True)
        assert await sender.send(batch_of(TOKENS[:1])) == [Rejected(reason="PayloadTooLarge", our_fault=True)]


async def test_silence_is_an_unknown_outcome_at_the_deadline() -> None:
    async with apns_sending_to(Peer(lambda line, request: None)) as sender:
        assert await sender.send(batch_of(TOKENS[:1], seconds=0.3)) == [Unknown(reason="no_answer_in_time")]


async def test_a_stream_refused_to_the_last_is_surely_not_sent() -> None:
    peer = Peer(lambda line, request: line.h2.reset_stream(request.stream, 7))
    async with apns_sending_to(peer) as sender:
        assert await sender.send(batch_of(TOKENS[:1])) == [Unreachable(reason="refused_stream")]
    assert len(peer.requests) == RESENDS_MAX + 1


def test_the_provider_token_says_who_we_are_and_is_renewed_after_40_minutes() -> None:
    now = 1_700_000_000.0
    token = ProviderToken(pem(ec_key()), "KEY4567890", "TEAM567890", lambda: now)
    first = token.header()
    decoded = jwt.decode(first.removeprefix(b"bearer "), ec_key().public_key(), algorithms=["ES256"])
    assert decoded == {"iss": "TEAM567890", "iat": 1_700_000_000}
    assert jwt.get_unverified_header(first.removeprefix(b"bearer "))["kid"] == "KEY4567890"
    now += 39 * 60
    assert token.header() == first
    now += 2 * 60
    assert token.header() != first
    now -= 3_600  # our clock was set back: a token from the future would be refused
    assert jwt.decode(token.header().removeprefix(b"bearer "), options={"verify_signature": False})["iat"] == int(now)


def test_a_refused_provider_token_is_renewed_at_most_once_in_20_minutes() -> None:
    now = 1_800_000_000.0
    token = ProviderToken(pem(ec_key()), "KEY4567890", "TEAM567890", lambda: now)
    first = token.header()
    assert token.renew_refused(first)
    second = token.header()
    assert token.renew_refused(first)  # somebody else's late refusal of the old one
    assert token.header() == second != first
    assert not token.renew_refused(second)
    now += 20 * 60
    assert token.renew_refused(second)


def test_a_key_that_cannot_be_used_is_named_without_being_shown() -> None:
    secret = "-----BEGIN PRIVATE KEY-----\nkanariefugl\n-----END PRIVATE KEY-----"
    for make in (
        partial(ProviderToken, secret, "K", "T"),
        partial(ProviderToken, pem(rsa_key()), "K", "T"),
        partial(FcmSender, FcmSettings(project_id="klokke", client_email="a@b", private_key_pem=secret)),
    ):
        with pytest.raises(ValueError, match="private_key_pem") as caught:
            make()
        assert "kanariefugl" not in repr(caught.value)
        assert caught.value.__suppress_context__


def test_settings_do_not_show_their_keys() -> None:
    fcm = FcmSettings(project_id="klokke", client_email="a@b", private_key_pem="kanariefugl")
    apns = ApnsSettings(topic="t", team_id="T", key_id="K", private_key_pem="kanariefugl")
    assert "kanariefugl" not in repr(fcm) + str(fcm) + repr(apns) + str(apns)


# --- FCM ---


class Grants:
    """A token endpoint: HTTP/1.1 over TLS, one request a connection; keeps the assertions."""

    def __init__(self) -> None:
        self.assertions: list[str] = []
        self.status = 200
        self.port = 0

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        async with trio.open_nursery() as nursery:
            serve = partial(trio.serve_ssl_over_tcp, self._serve, 0, certificates()[0], host="127.0.0.1")
            listeners = await nursery.start(serve)
            self.port = listeners[0].transport_listener.socket.getsockname()[1]
            task_status.started()

    async def _serve(self, stream: trio.SSLStream[trio.SocketStream]) -> None:
        data = b""
        while not self._is_whole(data):
            data += await stream.receive_some(65_536)
        form = parse_qs(data.split(b"\r\n\r\n", 1)[1].decode())
        assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
        self.assertions.append(form["assertion"][0])
        body = json.dumps({"access_token": f"ya29.{len(self.assertions)}", "expires_in": 3600, "token_type": "Bearer"})
        head = f"HTTP/1.1 {self.status} x\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        await stream.send_all((head + body).encode())

    @staticmethod
    def _is_whole(data: bytes) -> bool:
        head, found, body = data.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head.lower())
        return bool(found) and length is not None and len(body) >= int(length[1])


@asynccontextmanager
async def fcm_sending_to(peer: Peer, grants: Grants) -> AsyncIterator[FcmSender]:
    async with trio.open_nursery() as nursery:
        await nursery.start(peer.run)
        await nursery.start(grants.run)
        settings = FcmSettings(
            project_id="klokke-test",
            client_email="push@klokke-test.example",
            private_key_pem=pem(rsa_key()),
            token_uri=f"https://localhost:{grants.port}/token",
            base_url=f"https://localhost:{peer.port}",
            ca_file=certificates()[1],
        )
        sender = FcmSender(settings)
        await nursery.start(sender.run)
        yield sender
        nursery.cancel_scope.cancel()


FCM_TOKENS = [f"dQw4w9WgXcQ:APA91b_{index:04}-x".encode() for index in range(12)]


def fcm_error(line: Line, request: Request, status: int, code: str) -> None:
    details = [{"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code}] if code else []
    line.answer(request, status, json.dumps({"error": {"code": status, "details": details}}).encode())


def fcm_name(line: Line, request: Request) -> None:
    line.answer(request, 200, b'{"name":"projects/klokke-test/messages/1"}')


def fcm_token(request: Request) -> Any:
    return json.loads(request.body)["message"]["token"]


async def test_fcm_sends_each_token_its_own_body_with_a_bearer_of_the_service_account() -> None:
    def script(line: Line, request: Request) -> None:
        if fcm_token(request).endswith("0003-x"):
            fcm_error(line, request, 404, "UNREGISTERED")
        else:
            fcm_name(line, request)

    peer, grants = Peer(script), Grants()
    async with fcm_sending_to(peer, grants) as sender:
        outcomes = await sender.send(batch_of(FCM_TOKENS, lane="fcm.parent"))
    gone = Rejected(reason="UNREGISTERED", endpoint_gone=True)
    assert outcomes == [gone if index == 3 else ACCEPTED for index in range(12)]
    assert sorted(fcm_token(request).encode() for request in peer.requests) == FCM_TOKENS
    assert len({json.loads(request.body)["message"]["data"]["delivery"] for request in peer.requests}) == 12
    assert {request.headers[":path"] for request in peer.requests} == {"/v1/projects/klokke-test/messages:send"}
    assert {request.headers["authorization"] for request in peer.requests} == {"Bearer ya29.1"}
    assert {request.headers["content-type"] for request in peer.requests} == {"application/json"}
    claims = jwt.decode(
        grants.assertions[0],
        rsa_key().public_key(),
        algorithms=["RS256"],
        audience=f"https://localhost:{grants.port}/token",
    )
    assert claims["iss"] == "push@klokke-test.example"
    assert claims["scope"] == "https://www.googleapis.com/auth/firebase.messaging"
    assert claims["exp"] - claims["iat"] == 3600


async def test_fcm_a_storm_of_refused_access_tokens_makes_one_renewal() -> None:
    def script(line: Line, request: Request) -> None:
        if request.headers["authorization"] == "Bearer ya29.1":
            fcm_error(line, request, 401, "")
        else:
            fcm_name(line, request)

    peer, grants = Peer(script), Grants()
    ends: list[Sequence[Outcome]] = []
    async with fcm_sending_to(peer, grants) as sender, trio.open_nursery() as nursery:

        async def send(number: int) -> None:
            ends.append(await sender.send(batch_of(FCM_TOKENS, changed(EVENT, number=number), "fcm.parent")))

        for number in range(5):
            nursery.start_soon(send, number)
    assert ends == [[ACCEPTED] * 12] * 5
    assert len(grants.assertions) == 2


async def test_fcm_an_access_token_refused_twice_parks_the_lane() -> None:
    peer, grants = Peer(lambda line, request: fcm_error(line, request, 401, "")), Grants()
    async with fcm_sending_to(peer, grants) as sender:
        outcomes = await sender.send(batch_of(FCM_TOKENS[:1], lane="fcm.parent"))
    assert outcomes == [Unreachable(reason="UNAUTHENTICATED", park=True)]
    assert len(peer.requests) == 2


async def test_fcm_a_refused_service_account_parks_the_lane_and_sends_nothing() -> None:
    peer, grants = Peer(), Grants()
    grants.status = 400
    async with fcm_sending_to(peer, grants) as sender:
        outcomes = await sender.send(batch_of(FCM_TOKENS[:2], lane="fcm.parent"))
    assert outcomes == [Unreachable(reason="oauth_refused", park=True)] * 2
    assert not peer.requests


async def test_fcm_keeps_the_old_access_token_while_renewal_fails() -> None:
    peer, grants = Peer(fcm_name), Grants()
    async with fcm_sending_to(peer, grants) as sender:
        assert await sender.send(batch_of(FCM_TOKENS[:1], lane="fcm.parent")) == [ACCEPTED]
        grants.status = 503
        peer.script = lambda line, request: fcm_error(line, request, 401, "")
        outcomes = await sender.send(batch_of(FCM_TOKENS[:1], lane="fcm.parent"))
        assert outcomes == [Unreachable(reason="oauth_unreachable")]
        peer.script = fcm_name
        assert await sender.send(batch_of(FCM_TOKENS[:1], lane="fcm.parent")) == [ACCEPTED]
    assert {request.headers["authorization"] for request in peer.requests} == {"Bearer ya29.1"}


async def test_fcm_a_token_with_letters_that_no_token_has_never_reaches_the_json() -> None:
    peer, grants = Peer(fcm_name), Grants()
    async with fcm_sending_to(peer, grants) as sender:
        outcomes = await sender.send(batch_of([b'x","topic":"all', FCM_TOKENS[0]], lane="fcm.parent"))
    assert outcomes == [MALFORMED, ACCEPTED]
    assert len(peer.requests) == 1
