"""Provider and access tokens: shared by key, renewed once however many pushes are refused, in step with clocks."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import jwt
import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.apns.client import ApnsSender
from channels.apns.credential import RENEW_AFTER_SECONDS, ProviderToken
from channels.fcm.client import FcmSender
from channels.fcm.credential import AccessToken
from channels.http2.connection import Origin
from channels.http2.jobs import OK
from channels.http2.pool import PoolSettings
from channels.signed_token import RENEW_AGAIN_SECONDS
from channels.simulator.answers import Answer, Ready
from channels.simulator.apns import Apns
from channels.simulator.apns_rules import Sender as KnownSender
from channels.simulator.fcm import Fcm
from channels.simulator.header_table import Field
from channels.simulator.ledger import Ledger
from channels.simulator.service import Fate
from channels.simulator.webpush import WebPush
from engine.outcomes import ACCEPTED, Outcome, Unreachable
from engine.ports import Sender
from tests.channels.events import EVENT, batch_of, changed
from tests.channels.kinds import (
    KEY_ID,
    KINDS,
    PROJECT,
    STREAMS,
    TEAM_ID,
    TOPIC,
    CountedOAuth,
    apns_settings,
    fcm_settings,
    public,
    webpush_sender,
)
from tests.channels.peer import Line, Peer, Request
from tests.channels.sending import batch, sending_to
from tests.channels.simulated import Kind
from tests.channels.test_push_clients import ec_key, pem, rsa_key
from tests.webpush.browsers import application_key

APNS, FCM, WEBPUSH = KINDS


class Revoking:
    """Notes the tokens that a simulator is shown, and refuses some of them as the test says."""

    refusal = Fate(403, "ExpiredProviderToken")

    def __init__(self) -> None:
        self.shown: set[bytes] = set()
        self.revoked: set[bytes] = set()
        self.revokes_all = False

    def fate_of(self, fields: Sequence[Field], fate: Fate | None) -> Fate | None:
        shown = dict(fields)[b"authorization"]
        self.shown.add(shown)
        return self.refusal if self.revokes_all or shown in self.revoked else fate


class RevokingApns(Apns):
    """APNs that calls some provider tokens expired."""

    def __init__(self, ledger: Ledger, url: str) -> None:
        sender = KnownSender(public("ec"), KEY_ID, TEAM_ID, frozenset({TOPIC}))
        super().__init__(ledger, validating=True, sender=sender, streams=STREAMS, streams_at_first=1)
        self.tokens = Revoking()

    def quick(self, voucher: object, values: Sequence[bytes], body: bytes) -> Ready | None:
        return None  # every request is judged in full

    def answer(self, fields: Sequence[Field], body: bytes, fate: Fate | None) -> Answer:
        return super().answer(fields, body, self.tokens.fate_of(fields, fate))


class RevokingWebPush(WebPush):
    """A push service that refuses some tokens."""

    def __init__(self, ledger: Ledger, url: str) -> None:
        super().__init__(ledger, origins=[url], validating=True, key=application_key(), streams=STREAMS)
        self.tokens = Revoking()

    def quick(self, voucher: object, values: Sequence[bytes], body: bytes) -> Ready | None:
        return None

    def answer(self, fields: Sequence[Field], body: bytes, fate: Fate | None) -> Answer:
        return super().answer(fields, body, self.tokens.fate_of(fields, fate))


class WatchedFcm(Fcm):
    """FCM that looks at the access token of every single request."""

    oauth: CountedOAuth

    def quick(self, voucher: object, values: Sequence[bytes], body: bytes) -> Ready | None:
        return None


def watched_fcm(ledger: Ledger, url: str) -> WatchedFcm:
    oauth = CountedOAuth(public("rsa"), 3_600, {f"{url}/token"}.__contains__)
    service = WatchedFcm(ledger, oauth, validating=True, project=PROJECT, streams=STREAMS)
    service.oauth = oauth
    return service


async def storm(kind: Kind, lanes: Sequence[Sender], batches: int, size: int, url: str = "") -> list[Outcome]:
    """Send many batches on several lanes at once; `url` is the simulator's, where addresses hold it."""
    outcomes: list[Outcome] = []

    async def send(lane: Sender, number: int) -> None:
        event = changed(EVENT, number=EVENT.number + number)
        outcomes.extend(await lane.send(batch_of(kind.addresses(url, size, number * size), event, kind.lane, 8.0)))

    async with trio.open_nursery() as nursery:
        for number in range(batches):
            nursery.start_soon(send, lanes[number % len(lanes)], 1 + number)
    return outcomes


async def test_a_403_storm_on_two_lanes_of_one_apns_key_makes_one_renewal(tmp_path: Path) -> None:
    kind = Kind(**{**vars(APNS), "service": RevokingApns})
    async with kind.simulated(tmp_path) as simulated, trio.open_nursery() as nursery:
        tokens: Revoking = simulated.service.tokens
        token = ProviderToken(pem(ec_key()), KEY_ID, TEAM_ID)
        lanes = [ApnsSender(apns_settings(simulated.url, simulated.ca_file), token) for _ in range(2)]
        for lane in lanes:
            await nursery.start(lane.run)
        assert set(await storm(kind, lanes, 2, 5)) == {ACCEPTED}
        assert len(tokens.shown) == 1  # shared by both lanes
        tokens.revoked |= tokens.shown
        assert await storm(kind, lanes, 6, 400) == [ACCEPTED] * 2_400
        refused = sum(row["reason"] == "ExpiredProviderToken" for row in simulated.rows())
        assert refused >= 500  # all that were in the air; those of later turns carry the new one
        assert len(tokens.shown) == 2
        tokens.revokes_all = True  # now something is wrong that no renewal mends
        parked = Unreachable(reason="ExpiredProviderToken", park=True)
        assert set(await storm(kind, lanes, 4, 50)) == {parked}
        assert len(tokens.shown) == 2
        nursery.cancel_scope.cancel()


async def test_a_401_storm_on_two_lanes_of_one_service_account_makes_one_renewal(tmp_path: Path) -> None:
    kind = Kind(**{**vars(FCM), "service": watched_fcm})
    async with kind.simulated(tmp_path) as simulated, trio.open_nursery() as nursery:
        service: WatchedFcm = simulated.service
        settings = fcm_settings(simulated.url, simulated.ca_file)
        shared = AccessToken(settings.client_email, pem(rsa_key()), settings.token_uri, settings.ca_file)
        lanes = [FcmSender(settings, shared) for _ in range(2)]
        for lane in lanes:
            await nursery.start(lane.run)
        assert set(await storm(kind, lanes, 2, 5)) == {ACCEPTED}
        assert service.oauth.given == 1  # shared by both lanes
        service.oauth.forget()
        assert await storm(kind, lanes, 6, 400) == [ACCEPTED] * 2_400
        assert sum(row["reason"] == "UNAUTHENTICATED" for row in simulated.rows()) >= 200
        assert service.oauth.given == 2
        service.oauth.forget()  # once more within a minute: it is not the token's age
        parked = Unreachable(reason="UNAUTHENTICATED", park=True)
        assert set(await storm(kind, lanes, 4, 50)) == {parked}
        assert service.oauth.given == 2
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(("status", "reason"), [(401, "VapidExpired"), (403, "OtherVapidKey")])
async def test_a_401_or_403_storm_on_two_web_push_lanes_makes_one_renewal_a_token(
    status: int, reason: str, tmp_path: Path
) -> None:
    """Each lane has a token of its own, since a token names the push service."""
    kind = Kind(**{**vars(WEBPUSH), "service": RevokingWebPush})
    async with kind.simulated(tmp_path) as simulated, trio.open_nursery() as nursery:
        tokens: Revoking = simulated.service.tokens
        tokens.refusal = Fate(status, reason)
        lanes = [webpush_sender(simulated.url, simulated.ca_file) for _ in range(2)]
        for lane in lanes:
            await nursery.start(lane.run)
        assert set(await storm(kind, lanes, 2, 5, simulated.url)) == {ACCEPTED}
        assert len(tokens.shown) == 2
        tokens.revoked |= tokens.shown
        assert await storm(kind, lanes, 6, 100, simulated.url) == [ACCEPTED] * 600
        assert sum(row["reason"] == reason for row in simulated.rows()) >= 200  # at least a batch of each lane
        assert len(tokens.shown) == 4
        tokens.revokes_all = True  # now something is wrong that no renewal mends
        parked = Unreachable(reason="vapid_refused", park=True)
        assert set(await storm(kind, lanes, 4, 30, simulated.url)) == {parked}
        assert len(tokens.shown) == 4
        nursery.cancel_scope.cancel()


async def test_another_lane_keeps_a_shared_access_token_when_the_first_one_ends(tmp_path: Path) -> None:
    kind = Kind(**{**vars(FCM), "service": watched_fcm})
    async with kind.simulated(tmp_path) as simulated, trio.open_nursery() as nursery:
        settings = fcm_settings(simulated.url, simulated.ca_file)
        shared = AccessToken(settings.client_email, pem(rsa_key()), settings.token_uri, settings.ca_file)
        first, second = FcmSender(settings, shared), FcmSender(settings, shared)
        async with trio.open_nursery() as short:
            await short.start(first.run)
            await nursery.start(second.run)
            assert set(await storm(kind, [first, second], 2, 3)) == {ACCEPTED}
            short.cancel_scope.cancel()
        simulated.service.oauth.forget()
        assert set(await storm(kind, [second], 2, 3)) == {ACCEPTED}
        nursery.cancel_scope.cancel()


@pytest.fixture
def fast_clock() -> trio.testing.MockClock:
    """Trio's time runs twenty times as fast as the sockets'."""
    return trio.testing.MockClock(rate=20)


async def test_an_access_token_is_renewed_ahead_of_its_end(fast_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """Tokens of 10 seconds: each is replaced after 7.5 to 8, while pushes go on."""

    def short_lived(ledger: Ledger, url: str) -> Fcm:
        service = watched_fcm(ledger, url)
        service.oauth._seconds = 10
        return service

    kind = Kind(**{**vars(FCM), "service": short_lived})
    async with kind.simulated(tmp_path) as simulated, kind.sending(simulated) as sender:
        oauth: CountedOAuth = simulated.service.oauth
        with trio.fail_after(200):
            while oauth.given < 4:
                assert set(await storm(kind, [sender], 1, 2)) == {ACCEPTED}
        assert {row["status"] for row in simulated.rows()} == {"200"}  # nobody ever met a refused token
        lives = [later - earlier for earlier, later in pairwise(oauth.given_at)]
        assert min(lives) >= 7.4
        assert min(lives) < 10  # a busy machine may be late once


async def test_a_provider_token_of_a_clock_that_was_wrong_is_replaced_when_the_clock_is_right(tmp_path: Path) -> None:
    """Our clock stood two hours back, as after a night without NTP; then it jumps."""
    offset = -7_200.0
    async with APNS.simulated(tmp_path) as simulated:
        token = ProviderToken(pem(ec_key()), KEY_ID, TEAM_ID, lambda: time.time() + offset)
        sender = ApnsSender(apns_settings(simulated.url, simulated.ca_file), token)
        async with APNS.sending(simulated, sender):
            outcomes = await sender.send(batch_of(APNS.tokens(3), seconds=5))
            assert outcomes == [Unreachable(reason="ExpiredProviderToken", park=True)] * 3
            offset = 0.0
            assert await sender.send(batch_of(APNS.tokens(3), seconds=5)) == [ACCEPTED] * 3


MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("forward"), st.integers(1, 3_600)),
        st.tuples(st.just("back"), st.integers(1, 3_600)),
        st.tuples(st.just("refused"), st.just(0)),
    ),
    max_size=60,
)


@settings(deadline=None)
@given(MOVES)
def test_a_provider_token_is_20_to_40_minutes_old_when_it_is_replaced_unless_it_was_refused_or_the_clock_set_back(
    moves: list[tuple[str, int]],
) -> None:
    now = 1_800_000_000.0
    token = ProviderToken(pem(ec_key()), KEY_ID, TEAM_ID, lambda: now)
    signed_at, header, renewals = now, token.header(), list[float]()
    for what, seconds in moves:
        if what == "refused":
            may_try_again = token.renew_refused(header)
            is_too_soon = bool(renewals) and 0 <= now - renewals[-1] < RENEW_AGAIN_SECONDS
            assert may_try_again == (not is_too_soon)
            if may_try_again:
                renewals.append(now)
                signed_at = now
        now += seconds if what == "forward" else -seconds
        before, header = header, token.header()
        claims = jwt.decode(header.removeprefix(b"bearer "), options={"verify_signature": False})
        if 0 <= now - signed_at < RENEW_AFTER_SECONDS:
            assert claims["iat"] == int(signed_at)
            assert header == before or what == "refused"
        else:
            signed_at = now
        assert claims["iat"] == int(signed_at)
        assert 0 <= now - claims["iat"] < RENEW_AFTER_SECONDS + 1
    assert 20 * 60 <= RENEW_AFTER_SECONDS <= 50 * 60


async def test_every_new_connection_has_one_stream_until_its_first_accepted_answer() -> None:
    """With provider tokens, each connection by itself (Apple); a rejection does not count."""
    most_open: dict[int, list[int]] = {}

    def script(line: Line, request: Request) -> None:
        most_open.setdefault(peer.lines.index(line), []).append(line.h2.open_inbound_streams)
        line.answer(request, 200 if len(line.requests) > 2 else 410)

    peer = Peer(script)
    async with sending_to(peer, PoolSettings(Origin("x"), starts_with_one=True, connections_max=1)) as pool:
        for lines in (1, 2, 3):
            results = await pool.submit(batch(40), 5)
            assert [result[0] for result in results[:3]] == [410, 410, 200]
            assert results[3:] == [OK] * 37
            pool.renew()
            await peer.wait_until(lambda lines=lines: len(peer.lines) == lines + 1)  # type: ignore[misc]
    assert [opened[:3] for opened in most_open.values()] == [[1, 1, 1]] * 3
    assert all(max(opened) > 1 for opened in most_open.values())
