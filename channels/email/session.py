"""One connection to the relay: greeting, EHLO, STARTTLS, login, then letters until told to stop."""

from __future__ import annotations

import ssl
from base64 import b64encode
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import trio

from channels.email import answers
from channels.email.answers import Stage
from channels.email.settings import EmailSettings
from channels.email.smtp import BadReply, Command, Dialogue, Features, Letter, Replies, Reply, features
from engine.outcomes import Outcome

_RECEIVE_BYTES = 65_536
_GOODBYE_SECONDS = 1.0


class Refused(Exception):
    """No session came about; `outcome` says what that means for every letter that waits."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__("the relay gave no session")
        self.outcome = outcome


class Pile(Protocol):
    """Where a session takes letters from and notes their outcomes."""

    @property
    def deadline(self) -> float: ...

    def take(self) -> Letter | None: ...

    def put_back(self, letter: Letter) -> None: ...

    def note(self, letter: Letter, outcome: Outcome) -> None: ...


def trust(settings: EmailSettings) -> ssl.SSLContext | None:
    """The TLS rules of a relay: its certificate and host name are always verified."""
    if settings.tls == "none":
        return None
    context = ssl.create_default_context(cafile=settings.ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


class Session:
    """A connection that is ready for letters. Use `open_session`."""

    def __init__(self, stream: trio.abc.Stream, settings: EmailSettings) -> None:
        self._stream = stream
        self._settings = settings
        self._replies = Replies()
        self._heard: deque[Reply] = deque()
        self.features = Features()
        self.used_at = trio.current_time()

    # --- opening -----------------------------------------------------------------------------------------------

    async def begin(self, context: ssl.SSLContext | None) -> None:
        """Go through greeting, EHLO, STARTTLS and login.

        Raises:
            Refused: the relay said no, or cannot do what the settings demand.
        """
        if self._settings.tls == "implicit":
            await self._secure(context)
        self._expect(await self._next_reply(), Stage.CONNECT, 220)
        await self._introduce()
        if self._settings.tls == "starttls":
            if not self.features.starttls:
                raise Refused(answers.NO_TLS)
            self._expect(await self._ask(b"STARTTLS\r\n"), Stage.CONNECT, 220)
            # What came in the clear behind the 220 would be taken for the relay's own words (CVE-2011-0411)
            self._replies, self._heard = Replies(), deque()
            await self._secure(context)
            await self._introduce()
        if self._settings.username is not None:
            await self._log_in(self._settings.username, self._settings.password or "")
        self.used_at = trio.current_time()

    async def _secure(self, context: ssl.SSLContext | None) -> None:
        assert context is not None
        self._stream = tls = trio.SSLStream(
            self._stream,
            context,
            server_hostname=self._settings.host,
            https_compatible=True,
        )
        await tls.do_handshake()

    async def _introduce(self) -> None:
        name = self._settings.helo_name
        reply = await self._ask(f"EHLO {name}\r\n".encode())
        if reply.code in (500, 501, 502, 504):  # a relay from before 1995, or a very small one
            self._expect(await self._ask(f"HELO {name}\r\n".encode()), Stage.CONNECT, 250)
            return
        self._expect(reply, Stage.CONNECT, 250)
        self.features = features(reply.lines)

    async def _log_in(self, username: str, password: str) -> None:
        if "PLAIN" in self.features.logins:
            secret = b64encode(f"\0{username}\0{password}".encode())
            self._expect(await self._ask(b"AUTH PLAIN " + secret + b"\r\n"), Stage.AUTH, 235)
        elif "LOGIN" in self.features.logins:
            self._expect(await self._ask(b"AUTH LOGIN\r\n"), Stage.AUTH, 334)
            self._expect(await self._ask(b64encode(username.encode()) + b"\r\n"), Stage.AUTH, 334)
            self._expect(await self._ask(b64encode(password.encode()) + b"\r\n"), Stage.AUTH, 235)
        else:
            raise Refused(answers.NO_LOGIN_OFFERED)

    def _expect(self, reply: Reply, stage: Stage, code: int) -> None:
        if reply.code != code:
            raise Refused(answers.outcome(stage, reply.code, reply.enhanced))

    async def _ask(self, command: bytes) -> Reply:
        await self._stream.send_all(command)
        return await self._next_reply()

    async def _next_reply(self) -> Reply:
        while not self._heard:
            await self._receive()
        return self._heard.popleft()

    async def _receive(self) -> None:
        received = await self._stream.receive_some(_RECEIVE_BYTES)
        if not received:
            raise trio.BrokenResourceError("the relay hung up")
        self._heard.extend(self._replies.feed(received))

    # --- letters -----------------------------------------------------------------------------------------------

    async def carry(self, pile: Pile) -> bool:
        """Send letters until the pile is empty or the session ends; True when the session can be used again."""
        dialogue = Dialogue(self._settings.sender, smtputf8=self.features.smtputf8)
        in_time = True
        is_sound = False
        try:
            await self._carry(dialogue, pile)
            is_sound = not dialogue.is_closing
        except trio.TooSlowError:
            in_time = False
        except (trio.BrokenResourceError, trio.ClosedResourceError, ssl.SSLError, OSError, BadReply):
            pass  # `lost` below says what it means for each letter
        finally:
            for letter in dialogue.lost(in_time=in_time):
                pile.put_back(letter._replace(is_second_try=True))
            _note(dialogue, pile)
            self.used_at = trio.current_time()
        return is_sound

    async def _carry(self, dialogue: Dialogue, pile: Pile) -> None:
        exchange = self._all_at_once if self.features.pipelining else self._one_by_one
        while True:
            following = None if dialogue.is_closing else _next(dialogue, pile)
            commands = dialogue.group(following)
            if not commands:
                return
            await exchange(dialogue, commands, lambda: min(pile.deadline, self._patience()))
            _note(dialogue, pile)
            if dialogue.is_closing:
                return

    async def _all_at_once(
        self, dialogue: Dialogue, commands: list[Command], deadline: Callable[[], float]
    ) -> None:  # RFC 2920
        for command in commands:
            dialogue.sent(command)
        with trio.fail_at(deadline()) as scope:
            await self._stream.send_all(b"".join([command.sent for command in commands]))
            while dialogue.is_waiting and not dialogue.is_closing:
                scope.deadline = deadline()
                await self._receive()
                self._hand_on(dialogue)

    async def _one_by_one(self, dialogue: Dialogue, commands: list[Command], deadline: Callable[[], float]) -> None:
        for command in commands:
            dialogue.sent(command)
            with trio.fail_at(deadline()):
                await self._stream.send_all(command.sent)
                while dialogue.is_waiting and not dialogue.is_closing:
                    await self._receive()
                    self._hand_on(dialogue)
            if dialogue.is_closing:
                return

    def _hand_on(self, dialogue: Dialogue) -> None:
        while self._heard:
            dialogue.hear(self._heard.popleft())

    def _patience(self) -> float:
        return trio.current_time() + self._settings.answer_seconds

    # --- closing -----------------------------------------------------------------------------------------------

    async def say_goodbye(self) -> None:
        """End a session politely, but not patiently."""
        with trio.move_on_after(_GOODBYE_SECONDS, shield=True):
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError, OSError):
                await self._stream.send_all(b"QUIT\r\n")
                await self._receive()
        await self.drop()

    async def drop(self) -> None:
        """End a session at once."""
        with trio.CancelScope(shield=True):
            await trio.aclose_forcefully(self._stream)


async def open_session(settings: EmailSettings, context: ssl.SSLContext | None, deadline: float) -> Session:
    """Connect and get ready for letters.

    Raises:
        Refused: no connection, no TLS, no login, or the relay has no time; its outcome holds for all letters.
    """
    session: Session | None = None
    try:
        with trio.fail_at(min(deadline, trio.current_time() + settings.connect_seconds)):
            session = Session(await trio.open_tcp_stream(settings.host, settings.port), settings)
            await session.begin(context)
            return session
    except BaseException as error:
        if session is not None:
            await session.drop()
        refusal = _refusal(error)
        if refusal is None:
            raise
        raise Refused(refusal) from None


def _refusal(error: BaseException) -> Outcome | None:
    if isinstance(error, Refused):
        return error.outcome
    if isinstance(error, ssl.SSLCertVerificationError | ssl.CertificateError) or isinstance(
        error.__cause__, ssl.SSLCertVerificationError
    ):
        return answers.UNTRUSTED
    if isinstance(error, trio.TooSlowError):
        return answers.NO_ANSWER
    if isinstance(error, OSError | trio.BrokenResourceError | trio.ClosedResourceError | BadReply | ssl.SSLError):
        return answers.NO_CONNECTION
    return None


def _next(dialogue: Dialogue, pile: Pile) -> Letter | None:
    while (letter := pile.take()) is not None:
        refusal = dialogue.takes(letter)
        if refusal is None:
            return letter
        pile.note(letter, refusal)
    return None


def _note(dialogue: Dialogue, pile: Pile) -> None:
    for letter, outcome in dialogue.outcomes:
        pile.note(letter, outcome)
    dialogue.outcomes.clear()
