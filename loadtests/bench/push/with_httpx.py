"""A process that sends the same with httpx, HTTP/2, on trio: `python -m loadtests.bench.push.with_httpx <task>`."""

from __future__ import annotations

import ssl
import sys
from pathlib import Path

import httpx
import msgspec
import trio

from channels.apns import payload
from channels.apns.credential import ProviderToken
from channels.notification import collapse_key, uuid_forms
from engine.records.words import Language
from engine.records.work import delivery_ids
from loadtests.bench.push import credentials, shapes
from loadtests.bench.push.meter import Meter, pin
from loadtests.bench.push.task import Sample, Task

_AT_ONCE = 50
_SECONDS = 30.0


def requests(task: Task) -> list[tuple[str, dict[str, str], bytes]]:
    """Address, own headers and body of each push."""
    made: list[tuple[str, dict[str, str], bytes]] = []
    for batch in shapes.batches(task):
        body = payload.build(batch.event, Language.DA).body
        collapse, expires = collapse_key(batch.event), str(batch.event.expires_ms // 1000)
        for endpoint, delivery in zip(batch.endpoints, uuid_forms(delivery_ids(batch)), strict=True):
            own = {
                "apns-id": delivery.decode(),
                "apns-collapse-id": collapse,
                "apns-expiration": expires,
            }
            made.append((f"/3/device/{endpoint.address.decode()}", own, body))
    return made


async def measure(task: Task) -> Sample:
    key = (Path(task.folder) / credentials.APNS_KEY).read_bytes()
    shared = {
        "authorization": ProviderToken(key, shapes.KEY, shapes.TEAM).header().decode(),
        "apns-topic": shapes.TOPIC,
        "apns-push-type": "alert",
        "apns-priority": "10",
    }
    context = ssl.create_default_context(cafile=task.ca_file)
    async with httpx.AsyncClient(
        base_url=task.url, http2=True, verify=context, headers=shared, timeout=_SECONDS, trust_env=False
    ) as client:
        path, own, body = requests(msgspec.structs.replace(task, pushes=1))[0]
        await client.post(path, headers=own, content=body)
        waiting = iter(requests(task))
        meter = Meter(task)

        async def carry() -> None:
            for path, own, body in waiting:
                answer = await client.post(path, headers=own, content=body)
                is_accepted = answer.status_code == 200
                meter.count(int(is_accepted), None if is_accepted else {str(answer.status_code): 1})

        async with trio.open_nursery() as nursery:
            for _ in range(_AT_ONCE):
                nursery.start_soon(carry)
        return meter.finish()


def main() -> int:
    task = msgspec.json.decode(sys.argv[1], type=Task)
    pin(task.core)
    sys.stdout.write(msgspec.json.encode(trio.run(measure, task)).decode() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
