"""What was expected against what was received: lost, unexpected, duplicates, wrong text, wrong tenant, late.

Deliveries are kept as rows of small integers behind a 64-bit hash of (event, address), so that a few million fit. For
people outside the sample nothing is expected and nothing is judged, but every line is counted, and an address that
was accepted more than once for an event is found in the whole ledger.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Sequence
from enum import StrEnum
from hashlib import blake2b
from typing import NamedTuple

from loadtests.oracle.expectation import DEAD_PREFIX, Expected, Need
from loadtests.oracle.ledger import Received
from loadtests.oracle.people import Someone
from loadtests.oracle.posted import NATIONAL, Posted, replaced_ms
from loadtests.oracle.wording import children_words, expected_digest, names_children

LATE_MS = 5_000  # what was in hand when an event ended may still leave within this time
_BUCKETS = 256
_EXAMPLES = 5
_TENTH_MS = 100
_ANY_TEXT = 0  # two people with one address and different languages


class Fault(StrEnum):
    LOST = "lost"
    UNEXPECTED = "unexpected"
    DUPLICATE = "duplicate"
    WRONG_TEXT = "wrong_text"
    WRONG_TENANT = "wrong_tenant"
    LATE = "late"


class Finding(NamedTuple):
    """One fault, told without the address: `person` is an id, or a word for an address that nobody has."""

    fault: Fault
    event: str
    channel: str
    person: str


class Tally(NamedTuple):
    """What was expected on one channel for one event: people, deliveries, and how sure that is."""

    audience: int = 0
    people: int = 0
    deliveries: int = 0
    held: int = 0  # deliveries that quiet hours hold
    unsure: int = 0  # deliveries that may or may not have happened
    dead: int = 0  # deliveries to dead addresses
    dead_people: int = 0  # people who have no other device


class Comparison:
    """Collects expectations first, then ledger lines, then says what was wrong."""

    def __init__(self, events: Sequence[Posted], *, is_complete: bool) -> None:
        """`is_complete`: all people are expected, so an unknown address is a fault too."""
        self._events = events
        self._is_complete = is_complete
        self._index = {event.id: at for at, event in enumerate(events)}
        self._ended_ms = [replaced_ms(event, events) for event in events]
        self._rows: dict[int, int] = {}
        self._least, self._most, self._got = bytearray(), bytearray(), bytearray()
        self._text = array("i")
        self._owner = array("i")
        self._channel = bytearray()
        self._texts: list[str] = [""]
        self._text_number: dict[tuple[int, str, str, str], int] = {}
        self._is_named = [names_children(event) for event in events]
        self._people: list[tuple[str, frozenset[str]]] = []
        self._owner_of_address: dict[int, int] = {}
        self._dead: dict[int, tuple[bool, int, str, bool]] = {}  # must be tried, event, person, was tried
        self._tallies: dict[tuple[int, str], Counter[str]] = defaultdict(Counter)
        self.suppressed: Counter[tuple[str, str, str]] = Counter()  # (event, channel, reason) -> people
        self.received: Counter[tuple[str, str]] = Counter()  # (event, channel) -> accepted lines
        self.refused: Counter[tuple[str, str, str]] = Counter()  # (event, channel, reason) -> lines
        self.of_provider: Counter[tuple[str, str]] = Counter()  # (provider, "accepted" or the reason) -> lines
        self.last_ms: dict[str, int] = {}  # event -> when its last line was accepted
        self._arrivals: dict[str, Counter[int]] = defaultdict(Counter)  # event -> tenth of a second -> accepted lines
        self.faults: Counter[tuple[Fault, str, str]] = Counter()  # (fault, event, channel)
        self.examples: dict[Fault, list[Finding]] = defaultdict(list)
        self._repeated: Counter[tuple[str, str]] | None = None
        self.foreign_lines = 0  # lines of events that are not ours
        self._seen = {channel: [array("Q") for _ in range(_BUCKETS)] for channel in ("push", "email")}

    # --- what is expected ----------------------------------------------------------------------------------------

    def meet(self, someone: Someone) -> None:
        """Get to know a person, before `expect` is called for them."""
        self._people.append((someone.id, someone.tenants))
        for address in (*someone.devices, *([someone.email] if someone.email else [])):
            self._owner_of_address[_hash(address)] = len(self._people) - 1

    def expect(self, at: int, someone: Someone, expected: Sequence[Expected]) -> None:
        """Note what event number `at` must do for the person met last."""
        for one in expected:
            event, tally = self._events[at], self._tallies[at, one.channel]
            tally["audience"] += 1
            if one.reason:
                self.suppressed[event.id, one.channel, one.reason] += 1
                continue
            tally["people"] += 1
            tally["deliveries"] += len(one.addresses) or 1
            alive = [address for address in one.addresses if not _is_dead(one.channel, address)]
            tally["dead"] += len(one.addresses) - len(alive)
            tally["dead_people"] += bool(one.addresses) and not alive
            tally["held"] += len(one.addresses) * (one.need is Need.HELD)
            tally["unsure"] += (len(one.addresses) or 1) * (one.need is Need.MAY)
            for address in one.addresses:
                if _is_dead(one.channel, address):
                    self._expect_refusal(at, address, one.need, someone)
                else:
                    self._expect_address(at, one, address, someone)

    def _expect_address(self, at: int, one: Expected, address: str, someone: Someone) -> None:
        key = _key(at, _hash(address))
        text = self._text_of(at, one.channel, someone)
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = len(self._least)
            self._least.append(0)
            self._most.append(0)
            self._got.append(0)
            self._text.append(text)
            self._owner.append(len(self._people) - 1)
            self._channel.append(one.channel == "email")
        elif self._text[row] != text:
            self._text[row] = _ANY_TEXT
        self._least[row] += one.need is Need.MUST
        self._most[row] += one.need in (Need.MUST, Need.MAY)

    def _expect_refusal(self, at: int, address: str, need: Need, someone: Someone) -> None:
        must, event, person, tried = self._dead.get(_hash(address), (False, at, someone.id, False))
        self._dead[_hash(address)] = (must or need is Need.MUST, event, person, tried)

    def _text_of(self, at: int, channel: str, someone: Someone) -> int:
        children = children_words(self._events[at], someone) if self._is_named[at] else ""
        key = (at, channel, someone.language, children)
        known = self._text_number.get(key)
        if known is None:
            self._texts.append(expected_digest(self._events[at], channel, someone.language, children))
            known = self._text_number[key] = len(self._texts) - 1
        return known

    def tally(self, event: str, channel: str) -> Tally:
        """What was expected of an event on a channel, summed over the people looked at."""
        return Tally(**self._tallies[self._index[event], channel])

    # --- what was received ---------------------------------------------------------------------------------------

    def receive(self, line: Received) -> None:
        """Take one ledger line."""
        at = self._index.get(line.event)
        if at is None:
            self.foreign_lines += 1
            return
        hashed = _hash(line.address)
        ended_ms = self._ended_ms[at]
        if ended_ms is not None and line.unix_ms > ended_ms + LATE_MS:
            self._found(Fault.LATE, at, line.channel, self._name(hashed))
        if hashed in self._dead:
            must, event, person, _ = self._dead[hashed]
            self._dead[hashed] = (must, event, person, True)
        self.of_provider[line.provider, "accepted" if line.is_accepted else line.reason or "refused"] += 1
        if not line.is_accepted:
            self.refused[line.event, line.channel, line.reason] += 1
            return
        self.received[line.event, line.channel] += 1
        self._arrivals[line.event][line.unix_ms // _TENTH_MS] += 1
        self.last_ms[line.event] = max(line.unix_ms, self.last_ms.get(line.event, 0))
        key = _key(at, hashed)
        self._seen[line.channel][hashed % _BUCKETS].append(key % (1 << 64))
        self._judge(at, line, hashed, self._rows.get(key))

    def _judge(self, at: int, line: Received, hashed: int, row: int | None) -> None:
        owner = self._owner_of_address.get(hashed)
        if row is None:
            if owner is not None or self._is_complete:
                self._unexpected(at, line.channel, owner)
            return
        self._got[row] = min(255, self._got[row] + 1)
        if self._got[row] > self._most[row]:
            if self._most[row]:
                self._found(Fault.DUPLICATE, at, line.channel, self._name(hashed))
            else:
                self._unexpected(at, line.channel, owner)
        if self._text[row] != _ANY_TEXT and line.text != self._texts[self._text[row]]:
            self._found(Fault.WRONG_TEXT, at, line.channel, self._name(hashed))

    def _unexpected(self, at: int, channel: str, owner: int | None) -> None:
        name, tenants = self._people[owner] if owner is not None else ("an address nobody has", frozenset[str]())
        self._found(Fault.UNEXPECTED, at, channel, name)
        tenant = self._events[at].tenant
        if owner is not None and tenant != NATIONAL and tenant not in tenants:
            self._found(Fault.WRONG_TENANT, at, channel, name)

    def _name(self, hashed: int) -> str:
        owner = self._owner_of_address.get(hashed)
        return self._people[owner][0] if owner is not None else "somebody outside the sample"

    def _found(self, fault: Fault, at: int, channel: str, person: str) -> None:
        event = self._events[at].id
        self.faults[fault, event, channel] += 1
        if len(self.examples[fault]) < _EXAMPLES:
            self.examples[fault].append(Finding(fault, event, channel, person))

    # --- the end -------------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Find what never came; call once, after the last line."""
        at_of_row = {row: key % _BUCKETS for key, row in self._rows.items() if self._got[row] < self._least[row]}
        for row, at in at_of_row.items():
            channel = "email" if self._channel[row] else "push"
            for _ in range(self._least[row] - self._got[row]):
                self._found(Fault.LOST, at, channel, self._people[self._owner[row]][0])
        for must, at, person, was_tried in self._dead.values():
            if must and not was_tried:
                self._found(Fault.LOST, at, "push", person)
        self._repeated = self.repeated_lines()

    def repeated_lines(self) -> Counter[tuple[str, str]]:
        """Accepted lines beyond the first for one event and address, as (event, channel) -> lines.

        It covers the whole ledger, also the addresses of people who were not looked at.
        """
        if self._repeated is not None:
            return self._repeated
        repeated: Counter[tuple[str, str]] = Counter()
        for channel, buckets in self._seen.items():
            for bucket in buckets:
                if len(set(bucket)) < len(bucket):
                    for key, times in Counter(bucket).items():
                        if times > 1:
                            repeated[self._events[key & 0xFF].id, channel] += times - 1
        return repeated

    def arrived_ms(self, event: str, share: float) -> int | None:
        """When this share of an event's accepted lines had come in (Unix milliseconds, to a tenth of a second)."""
        arrivals = self._arrivals.get(event, Counter())
        left = arrivals.total() * share
        for tenth in sorted(arrivals):
            left -= arrivals[tenth]
            if left <= 0:
                return (tenth + 1) * _TENTH_MS
        return None

    def count(self, fault: Fault, event: str | None = None, channel: str | None = None) -> int:
        """Count a fault, of one event and channel or of all."""
        return sum(
            number
            for (kind, id, where), number in self.faults.items()
            if kind is fault and event in (None, id) and channel in (None, where)
        )


def _is_dead(channel: str, address: str) -> bool:
    return channel == "push" and address.startswith(DEAD_PREFIX)


def _hash(address: str) -> int:
    return int.from_bytes(blake2b(address.encode(), digest_size=8).digest(), "little")


def _key(at: int, hashed: int) -> int:
    """The event's place stands in the low byte, so that it can be read back."""
    return hashed << 8 | at
