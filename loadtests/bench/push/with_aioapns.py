"""A process that sends the same pushes with aioapns on asyncio: `python -m loadtests.bench.push.with_aioapns <task>`.

It needs a server that echoes the apns-id, by which it matches answers. Counts are kept small: it does some 1,500 a
second, and never comes back after about 1,200 refusals.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import warnings
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from aioapns import APNs, NotificationRequest, PushType
from aioapns.connection import APNsProductionClientProtocol

from channels.apns import payload
from channels.notification import uuid_forms
from engine.records.words import Language
from engine.records.work import delivery_ids
from loadtests.bench.push import credentials, shapes
from loadtests.bench.push.meter import Meter, pin
from loadtests.bench.push.task import Sample, Task

_AT_ONCE = 100
_COLLAPSE = "klasse-3b"


def requests(task: Task) -> list[NotificationRequest]:
    made: list[NotificationRequest] = []
    for batch in shapes.batches(task):
        message = json.loads(payload.build(batch.event, Language.DA).body)
        for endpoint, delivery in zip(batch.endpoints, uuid_forms(delivery_ids(batch)), strict=True):
            made.append(
                NotificationRequest(
                    device_token=endpoint.address.decode(),
                    message=message,
                    notification_id=delivery.decode(),
                    collapse_key=_COLLAPSE,
                    push_type=PushType.ALERT,
                    priority=10,
                    time_to_live=3_600,
                )
            )
    return made


async def measure(task: Task) -> Sample:
    at = urlsplit(task.url)

    class Here(APNsProductionClientProtocol):
        APNS_SERVER = at.hostname or ""
        APNS_PORT = at.port or 443

    client = APNs(
        key=(Path(task.folder) / credentials.APNS_KEY).read_text(),
        key_id=shapes.KEY,
        team_id=shapes.TEAM,
        topic=shapes.TOPIC,
        ssl_context=ssl.create_default_context(cafile=task.ca_file),
    )
    client.pool.protocol_class = Here
    await client.send_notification(requests(msgspec.structs.replace(task, pushes=1))[0])
    waiting = iter(requests(task))
    meter = Meter(task)

    async def carry() -> None:
        for request in waiting:
            result = await client.send_notification(request)
            meter.count(1 if result.is_successful else 0, None if result.is_successful else {result.status: 1})

    await asyncio.gather(*(carry() for _ in range(_AT_ONCE)))
    sample = meter.finish()
    client.pool.close()
    return sample


def main() -> int:
    task = msgspec.json.decode(sys.argv[1], type=Task)
    pin(task.core)
    warnings.simplefilter("ignore", DeprecationWarning)
    sys.stdout.write(msgspec.json.encode(asyncio.run(measure(task))).decode() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
