"""A process that has h2load send pushes of the same size: `python -m loadtests.bench.push.with_h2load <task>`.

h2load (C, from nghttp2) is the ceiling rather than a peer: it gives every request the same apns-id, looks at no answer
but its status, and does not verify the server's certificate. Its start-up is measured apart and taken off.
"""

from __future__ import annotations

import re
import resource
import subprocess
import sys
from pathlib import Path

import msgspec

from channels.apns import payload
from channels.apns.credential import ProviderToken
from channels.notification import collapse_key
from engine.records.words import Language
from loadtests.bench.measuring import usage
from loadtests.bench.push import credentials, shapes
from loadtests.bench.push.meter import pin
from loadtests.bench.push.processes import BenchFault
from loadtests.bench.push.servers import installed
from loadtests.bench.push.task import PEOPLE, Sample, Task

_CONNECTIONS, _STREAMS = 4, 500
_FINISHED = re.compile(r"finished in ([\d.]+)(us|ms|s|m)?,")
_STATUSES = re.compile(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx")
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, None: 1.0}


def command(task: Task, pushes: int) -> list[str]:
    folder, event = Path(task.folder), shapes.event(1)
    body, addresses = folder / "h2load.body", folder / "h2load.uris"
    body.write_bytes(payload.build(event, Language.DA).body)
    addresses.write_text(
        "".join(f"{task.url}/3/device/{shapes.apns_token(number).decode()}\n" for number in range(PEOPLE))
    )
    bearer = ProviderToken((folder / credentials.APNS_KEY).read_bytes(), shapes.KEY, shapes.TEAM).header().decode()
    headers = {
        "authorization": bearer,
        "apns-topic": shapes.TOPIC,
        "apns-push-type": "alert",
        "apns-priority": "10",
        "apns-expiration": str(event.expires_ms // 1000),
        "apns-collapse-id": collapse_key(event),
        "apns-id": "01234567-89ab-cdef-0123-456789abcdef",
    }
    given = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    return [installed("h2load") or "h2load", "-n", str(pushes), "-c", str(_CONNECTIONS), "-m", str(_STREAMS), "-t", "1",
            "-d", str(body), "-i", str(addresses), *given]  # fmt: skip


def read(printed: str) -> tuple[float, int, int]:
    """Read h2load's report: seconds, answers with 2xx, other answers. Raises BenchFault when it is not one."""
    finished, statuses = _FINISHED.search(printed), _STATUSES.search(printed)
    if finished is None or statuses is None:
        raise BenchFault(f"h2load's report cannot be read: {printed[-300:]!r}")
    accepted, *others = map(int, statuses.groups())
    return float(finished[1]) * _UNITS[finished[2]], accepted, sum(others)


def measure(task: Task) -> Sample:
    start_up, _ = _run(command(task, _CONNECTIONS))
    servers = sum(usage(pid).cpu_seconds for pid in task.server_pids)
    cpu, printed = _run(command(task, task.pushes))
    seconds, accepted, others = read(printed)
    return Sample(
        pushes=accepted + others,
        accepted=accepted,
        outcomes={"other statuses": others} if others else {},
        seconds=seconds,
        cpu_seconds=max(0.0, cpu - start_up),
        server_cpu_seconds=sum(usage(pid).cpu_seconds for pid in task.server_pids) - servers,
        peak_rss_mb=resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
        connections=_CONNECTIONS,
    )


def _run(command: list[str]) -> tuple[float, str]:
    """CPU seconds and output of one run."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, printed


def main() -> int:
    task = msgspec.json.decode(sys.argv[1], type=Task)
    pin(task.core)
    sys.stdout.write(msgspec.json.encode(measure(task)).decode() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
