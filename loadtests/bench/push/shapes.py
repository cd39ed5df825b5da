"""What is pushed: phones with distinct tokens, an event, batches as a dispatcher hands them over. Pure.

Tokens that are to be refused begin with words that the bundled simulator knows too (`channels/simulator/planned.py`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from engine.records.event import Audience, Content, Event, Term, Text
from engine.records.words import Category, Kind, Language, Urgency
from engine.records.work import Batch, Endpoint
from loadtests.bench.push.task import Shape, Task

TOPIC, TEAM, KEY = "dk.klokke.bench", "TEAM567890", "KEY4567890"
PROJECT = "klokke-bench"
GONE, BAD, UNAVAILABLE = "dead", "badd", "fade"
_DEADLINE_SECONDS = 60.0
_EXPIRES_MS = 4_000_000_000_000
_FCM_TOKEN_LETTERS = 152  # as long as real ones


def apns_token(number: int, word: str = "") -> bytes:
    """A token of 32 bytes in hexadecimal; an ordinary one begins with a digit."""
    digest = hashlib.blake2b(b"%d" % number, digest_size=32).hexdigest()
    return (f"{word}{digest[len(word) :]}" if word else f"0{digest[1:]}").encode()


def fcm_token(number: int, word: str = "") -> bytes:
    letters = "".join(hashlib.blake2b(b"%d.%d" % (number, part)).hexdigest() for part in range(2))
    return f"{word or '0'}{letters[:21]}:APA91b{letters[28:_FCM_TOKEN_LETTERS]}".encode()


def word_of(number: int, refused: float, unavailable: float) -> str:
    """How a phone's token begins: refusals lie evenly among the others, half of them 410, half 400."""
    place = number * 7_919 % 1_000  # 7,919 is prime to 1,000: every remainder comes once in a thousand
    if place < round(refused * 1_000):
        return GONE if place % 2 else BAD
    return UNAVAILABLE if place < round((refused + unavailable) * 1_000) else ""


def phones(shape: Shape, people: int, refused: float = 0.0, unavailable: float = 0.0) -> list[Endpoint]:
    token = apns_token if shape == "apns" else fcm_token
    return [Endpoint(number, 1, token(number, word_of(number, refused, unavailable))) for number in range(people)]


def event(number: int) -> Event:
    """A class message; about 210 bytes as a payload, as in the peers' measurements."""
    return Event(
        number=number,
        id=f"m-{number}",
        source="/beskeder",
        kind=Kind.MESSAGE,
        tenant="0751",
        service="beskeder",
        admitted_ms=1_800_000_000_000,
        expires_ms=_EXPIRES_MS,
        category=Category.MESSAGE,
        urgency=Urgency.NORMAL,
        audience=Audience(include=(Term(everyone=True),)),
        content=Content(
            texts={Language.DA: Text("Klasse 3B", "Husk regntøj og madpakke på tur i morgen.")},
            sender="Maja Lærer",
            thread="thread-17",
        ),
    )


def batches(task: Task) -> Iterator[Batch]:
    """Cut `task.pushes` into batches: event after event to the same phones, `task.events` of them taking turns."""
    everybody = phones(task.shape, task.people, task.refused, task.unavailable)
    size, left, turn, first_event = task.batch_people, task.pushes, 0, 1
    while left > 0:
        events = [event(first_event + index) for index in range(task.events)]
        first_event += task.events
        for start in range(0, task.people, size):
            for one in events:
                endpoints = everybody[start : start + min(size, left)]
                if not endpoints:
                    return
                left -= len(endpoints)
                turn += 1
                yield Batch(
                    event=one,
                    lane=f"{task.shape}.bench",
                    slot=0,
                    language=Language.DA,
                    endpoints=endpoints,
                    deadline_seconds=_DEADLINE_SECONDS,
                )
