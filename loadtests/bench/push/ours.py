"""A process that sends with our own `ApnsSender` or `FcmSender`: `python -m loadtests.bench.push.ours <task as JSON>`.

Everything that a dispatcher would pay for is inside: derived ids, collapse id, token, payload, outcome of each answer.
"""

from __future__ import annotations

import gc
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import trio

from channels.apns.client import ApnsSender, ApnsSettings
from channels.fcm.client import FcmSender, FcmSettings
from engine.outcomes import ACCEPTED, Accepted, Outcome
from engine.records.work import Batch
from loadtests.bench.push import credentials, shapes
from loadtests.bench.push.meter import Meter, pin
from loadtests.bench.push.task import Sample, Task


def sender_for(task: Task) -> ApnsSender | FcmSender:
    folder = Path(task.folder)
    if task.shape == "apns":
        return ApnsSender(
            ApnsSettings(
                topic=shapes.TOPIC,
                team_id=shapes.TEAM,
                key_id=shapes.KEY,
                private_key_pem=(folder / credentials.APNS_KEY).read_bytes(),
                base_url=task.url,
                ca_file=task.ca_file,
                connections_max=task.connections_max,
            )
        )
    return FcmSender(
        FcmSettings(
            project_id=shapes.PROJECT,
            client_email="bench@klokke-bench.iam.gserviceaccount.com",
            private_key_pem=(folder / credentials.FCM_KEY).read_bytes(),
            token_uri=task.token_url,
            base_url=task.url,
            ca_file=task.ca_file,
            connections_max=task.connections_max,
        )
    )


async def measure(task: Task) -> Sample:
    """Send all batches, `batches_at_once` at a time."""
    sender = sender_for(task)
    async with trio.open_nursery() as nursery:
        await nursery.start(sender.run)
        if task.warm_up:
            await _send_all(sender, shapes.batches(msgspec.structs.replace(task, pushes=task.warm_up)), task, None)
        waiting = list(shapes.batches(task))  # made before the clock runs: a dispatcher reads them from the store
        meter = Meter(task)
        await _send_all(sender, iter(waiting), task, meter)
        sample = meter.finish(sender.connections)
        nursery.cancel_scope.cancel()
    return sample


async def _send_all(sender: ApnsSender | FcmSender, waiting: Iterator[Batch], task: Task, meter: Meter | None) -> None:
    async def carry() -> None:
        for batch in waiting:
            outcomes = await sender.send(batch)
            if meter is not None:
                accepted = outcomes.count(ACCEPTED)
                meter.count(accepted, _others(outcomes) if accepted < len(outcomes) else None)

    async with trio.open_nursery() as nursery:
        for _ in range(task.batches_at_once):
            nursery.start_soon(carry)


def _others(outcomes: Sequence[Outcome]) -> dict[str, int]:
    return dict(Counter(f"{type(one).__name__} {one.reason}" for one in outcomes if not isinstance(one, Accepted)))


def main() -> int:
    task = msgspec.json.decode(sys.argv[1], type=Task)
    pin(task.core)
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)  # as `engine run` does
    sample = trio.run(measure, task)
    sys.stdout.write(msgspec.json.encode(sample).decode() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
