"""The quick way to read a message gives exactly what the strict way gives, and finds whatever was said twice."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.intake import cloudevents, strict_json
from engine.intake.strict_json import Malformed
from engine.intake.wire import MessageEvent
from tests.intake.conftest import message

FULL = {
    **message(),
    "tenant": "0101",
    "data": {
        "audience": {"include": [{"group": "3b", "role": "guardian"}], "exclude": [{"people": ["p-1"]}]},
        "texts": {"da": {"title": "Tur", "body": "Husk æ"}, "en": {"title": "Trip", "body": "Lunch"}},
        "category": "message",
        "urgency": "normal",
        "link": "/m",
    },
}
COMPACT = json.dumps(FULL, ensure_ascii=False, separators=(",", ":"))


USUAL = [
    COMPACT,
    COMPACT.replace("Husk æ", "Husk\\n- æ\\t\\\\ x"),
    json.dumps(FULL, ensure_ascii=False),
    json.dumps(message(), ensure_ascii=False),
]


@pytest.mark.parametrize("text", USUAL)
def test_a_usual_message_is_read_the_quick_way(text: str) -> None:
    assert isinstance(cloudevents.read_event(text.encode()), MessageEvent)


def outcome(read: Any, body: bytes) -> Any:
    try:
        return cloudevents.read_envelope(read(body), "")
    except Malformed as error:
        return str(error)


MEMBERS = st.sampled_from(
    [
        *('"category":"message"', '"category": "message"', '"category" :"message"', '"category":"post"'),
        *('"urgency":"normal"', '"urgency": "normal"', '"urgency":"urgent"', '"urgency":"none"'),
        *('"sensitive":false', '"sensitive":true', '"sender":null', '"sender":"x"', '"sender":"\\u0041"', '"roles":[]'),
        *(
            '"roles":["staff"]',
            '"link":"/a"',
            '"thread":"\\":"',
            '"thread":": "',
            '"thread":"\x7f"',
            '"thread":"\x85"',
            '"thread":"\xa0§x"',
            '"thread":"\ud8ff"',
        ),
        *(
            '"thread":"\n"',
            '"expires":"2027-01-01T00:00:00Z"',
            '"unknown":1',
            '"":""',
            '"sender":"a" "b"',
            '"roles":{}',
        ),
        *('"audience":{"include":[{"group":"3b"}],"exclude":[]}', '"audience":{"include":[{"group":"a","group":"b"}]}'),
        *('"texts":{"da":{"title":"a","body":"b\\nc"}}', '"texts":{"da":{"title":"a","body":"\\u0022"}}'),
        *('"texts":{"da":{"title":"a","body":"\\\\"}}', '"texts":{"da":{"title":"a","body":"\\b"}}', '"link":"/\\/"'),
        *('"texts":{"da":{"title":"a","body":"b","body":"c"}}', '"texts":{"da":{"title":"a","body":"b"},"en":null}'),
    ]
)
REQUIRED = ['"audience":{"include":[{"group":"3b"}]}', '"texts":{"da":{"title":"a","body":"b"}}']
OUTER = '"specversion":"1.0","id":"1","source":"/s","type":"dk.klokke.message.v1"'


@given(
    st.lists(MEMBERS, max_size=5),
    st.sampled_from(["", '"id":"1",', '"tenant":"0101",', '"subject":null,', '"time":1,']),
)
@example(['"category":"message"', '"category":"post"'], "")
@example(['"category":"post"', '"category":"message"'], "")
@example(['"category":"message"', '"category": "message"'], "")
@example(['"urgency":"normal"', '"urgency":"normal"'], "")
def test_both_ways_come_to_the_same(members: list[str], first: str) -> None:
    text = f'{{{first}{OUTER},"data":{{{",".join(members + REQUIRED)}}}}}'
    body = text.encode("utf-8", "surrogatepass")
    assert outcome(cloudevents.read_event, body) == outcome(strict_json.read, body)


def test_what_is_left_out_of_an_encoded_message_is_every_default() -> None:
    """What the count of quotes stands on: nothing is encoded that was not said."""
    text = f'{{{OUTER},"data":{{{",".join(REQUIRED)}}}}}'.encode()
    assert msgspec.json.encode(msgspec.json.decode(text, type=MessageEvent)).count(b'"') == text.count(b'"')
