"""The access token of FCM: an assertion signed with the service account's key, exchanged at Google's token endpoint.

Source: Google, "Using OAuth 2.0 for server to server applications" (RFC 7523). Renewed ahead, at 75 to 80 % of its
life; while renewal fails the old one is kept, for it may still be good.
"""

from __future__ import annotations

import random
import ssl
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import httpx
import jwt
import msgspec
import trio
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
_ASSERTION_SECONDS = 3_600  # Google's limit
_REQUEST_SECONDS = 10.0
_RETRY_FIRST_SECONDS = 1.0
_RETRY_MAX_SECONDS = 60.0
RENEW_AGAIN_SECONDS = 60.0  # a token refused so soon after a renewal is no matter of its age


class _Grant(msgspec.Struct, frozen=True):
    access_token: str
    expires_in: int = 3_600


class AccessToken:
    """Keeps one access token fresh; `run` must be running. Lanes of the same service account should share one.

    `fault` says in a word why there is none: `oauth_refused` (an operator must look), `oauth_unreachable`, or "".
    """

    def __init__(
        self,
        client_email: str,
        private_key_pem: str | bytes,
        token_uri: str,
        ca_file: str | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        parts = urlsplit(token_uri)
        if parts.scheme != "https" or not parts.hostname:
            raise ValueError("token_uri: must be an https:// address")
        self.fault = ""
        self._key = _load(private_key_pem)
        self._client_email = client_email
        self._token_uri = token_uri
        self._context = ssl.create_default_context(cafile=ca_file)
        self._now = now
        self._header = b""
        self._life_seconds = 0.0
        self._changed = trio.Event()
        self._wanted = trio.Event()
        self._wanted_at: float | None = None
        self._keeper = trio.Lock()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Fetch a token and renew it ahead of its end, or when one was refused, until cancelled.

        Every lane that shares it may run it: one does the work, and another takes over when that one ends.
        """
        task_status.started()
        # `trust_env` off: a proxy from the environment must not see the assertion.
        client = httpx.AsyncClient(verify=self._context, timeout=_REQUEST_SECONDS, trust_env=False)
        async with self._keeper, client:
            failures = 0
            while True:
                self.fault = await self._fetch(client)
                failures = failures + 1 if self.fault else 0
                self._changed.set()
                self._changed = trio.Event()
                if self.fault:
                    # A wanted renewal does not shorten this: Google is not asked more often because we are in need.
                    await trio.sleep(min(_RETRY_MAX_SECONDS, _RETRY_FIRST_SECONDS * 2 ** min(failures - 1, 6)))
                    continue
                self._wanted = trio.Event()
                with trio.move_on_after(self._life_seconds * random.uniform(0.75, 0.80)):
                    await self._wanted.wait()

    async def header(self) -> bytes | None:
        """The value of `authorization`; waits for the first one, None when it cannot be had."""
        if not self._header:
            await self._wait_for_change()
        return self._header or None

    def may_renew(self, used: bytes) -> bool:
        """`used` was refused: may another one be had? False: it is new, so an operator must look."""
        if used != self._header or self._wanted.is_set() or self._wanted_at is None:
            return True
        return trio.current_time() - self._wanted_at >= RENEW_AGAIN_SECONDS

    async def renew_refused(self, used: bytes) -> bytes | None:
        """`used` was refused: the value to try instead, or None. Many callers at once make one renewal."""
        if used == self._header:
            if not self._wanted.is_set():
                self._wanted_at = trio.current_time()
                self._wanted.set()
            await self._wait_for_change()
        return self._header if self._header and self._header != used else None

    async def _wait_for_change(self) -> None:
        if not self.fault:
            await self._changed.wait()

    async def _fetch(self, client: httpx.AsyncClient) -> str:
        now = int(self._now())
        claims = {
            "iss": self._client_email,
            "scope": SCOPE,
            "aud": self._token_uri,
            "iat": now,
            "exp": now + _ASSERTION_SECONDS,
        }
        assertion = jwt.encode(claims, self._key, algorithm="RS256")
        form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion}
        try:
            answer = await client.post(self._token_uri, data=form)
            if answer.status_code in (400, 401, 403):
                return "oauth_refused"
            if answer.status_code != 200:
                return "oauth_unreachable"
            grant = msgspec.json.decode(answer.content, type=_Grant)
        except (httpx.HTTPError, msgspec.MsgspecError, UnicodeDecodeError):
            return "oauth_unreachable"
        if not grant.access_token.isascii() or not grant.access_token.isprintable():
            return "oauth_unreachable"
        self._header = b"Bearer " + grant.access_token.encode()
        self._life_seconds = max(10.0, float(grant.expires_in))
        return ""


def _load(private_key_pem: str | bytes) -> RSAPrivateKey:
    pem = private_key_pem.encode() if isinstance(private_key_pem, str) else private_key_pem
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, RSAPrivateKey):
        # `from None`: what the parser says could hold parts of the key
        raise ValueError(
            "private_key_pem: not an unencrypted RSA key in PEM; use `private_key` of the service account"
        ) from None
    return key
