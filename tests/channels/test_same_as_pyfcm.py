"""Our FCM body against the one that pyfcm builds for the same notification.

Wanted difference: pyfcm always adds `validate_only: false`, the API's default; we leave it out to save bytes.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.oauth2.credentials import Credentials
from pyfcm import FCMNotification

from channels.fcm import payload
from channels.notification import collapse_key
from engine.records.event import Event
from engine.records.words import Language, Urgency
from tests.channels.events import EVENT, changed

DELIVERY = "01234567-89ab-cdef-0123-456789abcdef"


def theirs(event: Event, shown: dict[str, str], data: dict[str, str]) -> Any:
    client = FCMNotification(credentials=Credentials("not-used"), project_id="klokke-test")  # type: ignore[no-untyped-call]
    return json.loads(
        client.parse_payload(
            fcm_token="dQw4:APA91b",
            notification_title=shown.get("title"),
            notification_body=shown["body"],
            data_payload=data,
            android_config={
                "priority": "normal" if event.urgency is Urgency.BULK else "high",
                "ttl": "900s",
                "notification": {"tag": collapse_key(event)},
            },
        )
    )


@pytest.mark.parametrize(
    "event",
    [EVENT, changed(urgency=Urgency.BULK, content_link=None), changed(sensitive=True, entity="0751/calendar/a/")],
    ids=["message", "bulk", "sensitive"],
)
def test_our_body_is_the_one_that_pyfcm_builds(event: Event) -> None:
    ours = json.loads(payload.build(event, Language.DA).bodies([b"dQw4:APA91b"], [DELIVERY.encode()], 900)[0])
    data = {"event": event.public_id, "delivery": DELIVERY}
    if event.content.link and not event.sensitive:
        data["link"] = event.content.link
    expected = theirs(event, ours["message"]["notification"], data)
    assert expected.pop("validate_only") is False
    assert ours == expected
