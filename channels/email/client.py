"""The e-mail lane's way out: a small pool of sessions with one relay, shared by all batches.

A batch becomes a pile of letters; a few workers, a session each, take from it until it is empty. The engine retries,
this client does not, with one exception: a letter whose envelope was on its way when the session ended goes once more
onto a new session, since relays hang up idle ones and end long ones with 421 as a habit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from functools import partial

import trio

from channels.built_once import BuiltOnce
from channels.email import answers, headers
from channels.email.letter import Letter as Text
from channels.email.named import NamedLetter
from channels.email.payload import letter as build
from channels.email.session import Refused, Session, open_session, trust
from channels.email.settings import EmailSettings
from channels.email.smtp import Letter, is_deliverable
from engine.outcomes import Outcome, Rejected
from engine.records.words import Urgency
from engine.records.work import Batch, delivery_id
from engine.rules.tickets import mint_unsubscribe

_LETTERS_PER_SESSION = 8  # opening a session costs as much as some letters
_UNSAFE = Rejected(reason="unsafe_headers", our_fault=True)


class EmailSender:
    """Sends letters through one relay. Implements `engine.ports.Sender`.

    Raises:
        headers.UnsafeHeaders: this Python's e-mail parser reads more headers out of ours than we wrote.
    """

    def __init__(self, settings: EmailSettings) -> None:
        headers.prove()
        self._settings = settings
        self._context = trust(settings)
        self._text = BuiltOnce(partial(build, settings=settings))
        self._idle: list[Session] = []
        self._slots = trio.CapacityLimiter(settings.connections_max)
        self._urgent_slots = trio.CapacityLimiter(settings.urgent_connections_max)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """End sessions that nobody uses, until cancelled; then end all that are idle."""
        task_status.started()
        try:
            while True:
                await trio.sleep(self._settings.idle_seconds / 2)
                oldest = trio.current_time() - self._settings.idle_seconds
                stale = [session for session in self._idle if session.used_at < oldest]
                self._idle = [session for session in self._idle if session.used_at >= oldest]
                await _say_goodbye(stale)
        finally:
            left, self._idle = self._idle, []
            await _say_goodbye(left)

    async def send(self, batch: Batch) -> Sequence[Outcome]:
        """Send one letter to each endpoint; outcomes in their order. Never raises for what the relay does."""
        try:
            text = self._text(batch.event, batch.language)
        except headers.UnsafeHeaders:
            return [_UNSAFE] * len(batch.endpoints)
        pile = LetterPile(batch, text, self._settings)
        is_urgent = batch.event.urgency in (Urgency.EMERGENCY, Urgency.URGENT)
        slots = self._urgent_slots if is_urgent else self._slots
        workers = min(int(slots.total_tokens), -(-len(batch.endpoints) // _LETTERS_PER_SESSION))
        async with trio.open_nursery() as nursery:
            for _ in range(workers):
                nursery.start_soon(self._work, pile, slots)
        pile.fail(answers.OUT_OF_TIME)
        return pile.outcomes

    async def _work(self, pile: LetterPile, slots: trio.CapacityLimiter) -> None:
        with trio.move_on_at(pile.deadline) as scope:
            await slots.acquire()
        if scope.cancelled_caught:
            return
        try:
            while pile.has_letters:
                await self._carry(pile)
        except Refused as refused:
            pile.fail(refused.outcome)
        finally:
            slots.release()

    async def _carry(self, pile: LetterPile) -> None:
        session = await self._session(pile)
        is_sound = False
        try:
            is_sound = await session.carry(pile)
        finally:
            if not is_sound:
                await session.drop()
        self._idle += [session] if is_sound else []

    async def _session(self, pile: LetterPile) -> Session:
        # A letter on its second try met a session that the relay had ended; the other idle ones are likely as dead.
        if self._idle and pile.has_second_tries:
            await self._idle.pop().drop()
        elif self._idle:
            return self._idle.pop()
        return await open_session(self._settings, self._context, pile.deadline)


class LetterPile:
    """The letters of one batch, spliced when their turn comes, and the outcomes so far."""

    def __init__(self, batch: Batch, text: Text | NamedLetter, settings: EmailSettings) -> None:
        self._batch = batch
        self._text = text
        self._secret = settings.unsubscribe_secret if settings.unsubscribe_url else None
        self._next = 0
        self._again: deque[Letter] = deque()
        self._outcomes: list[Outcome | None] = [None] * len(batch.endpoints)
        self.deadline = trio.current_time() + batch.deadline_seconds

    @property
    def has_letters(self) -> bool:
        return (bool(self._again) or self._next < len(self._outcomes)) and trio.current_time() < self.deadline

    @property
    def has_second_tries(self) -> bool:
        return bool(self._again)

    @property
    def outcomes(self) -> list[Outcome]:
        return [outcome if outcome is not None else answers.OUT_OF_TIME for outcome in self._outcomes]

    def take(self) -> Letter | None:
        """The next letter, or None when there is none, or no time for one."""
        if trio.current_time() >= self.deadline:
            return None
        if self._again:
            return self._again.popleft()
        while self._next < len(self._outcomes):
            place = self._next
            self._next += 1
            letter = self._splice(place)
            if isinstance(letter, Letter):
                return letter
            self._outcomes[place] = letter
        return None

    def put_back(self, letter: Letter) -> None:
        self._again.append(letter)

    def note(self, letter: Letter, outcome: Outcome) -> None:
        self._outcomes[letter.place] = outcome

    def fail(self, outcome: Outcome) -> None:
        """Note this outcome for every letter that is still on the pile."""
        while self._again:
            self.note(self._again.popleft(), outcome)
        while self._next < len(self._outcomes):
            self._outcomes[self._next] = outcome
            self._next += 1

    def _splice(self, place: int) -> Letter | Outcome:
        batch = self._batch
        number, generation, address = batch.endpoints[place]
        if not is_deliverable(address):
            return answers.BAD_ADDRESS
        delivery = delivery_id(batch.event.number, number, batch.lane, batch.slot, generation)
        token = b""
        if self._secret is not None:
            token = mint_unsubscribe(self._secret, number, batch.event.category).encode()
        try:
            text = self._text_for(place)
        except headers.UnsafeHeaders:
            return _UNSAFE
        return Letter(place, address, text.data(address, delivery, token))

    def _text_for(self, place: int) -> Text:
        """The letter that all readers share, or the one that names this reader's children."""
        if isinstance(self._text, Text):
            return self._text
        if self._batch.personal is None:
            raise ValueError("an event that names children was sent without their names")
        return self._text.for_reader(self._batch.personal[place].children)


async def _say_goodbye(sessions: Sequence[Session]) -> None:
    async with trio.open_nursery() as nursery:
        for session in sessions:
            nursery.start_soon(session.say_goodbye)
