"""The course of a benchmark: servers up, rounds, each run in a process of its own, servers down."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import msgspec

from loadtests.bench.measuring import cores
from loadtests.bench.push import credentials, servers
from loadtests.bench.push.plan import LATENCY_MS, Run
from loadtests.bench.push.processes import BenchFault, run
from loadtests.bench.push.relay import relay
from loadtests.bench.push.servers import Server
from loadtests.bench.push.task import Sample, Task

RUN_SECONDS_MAX = 180.0


class Course:
    """Starts a server when the first run wants it; all end with the `with` block.

    The first core is the sender's, the second one the servers'; a machine with one core has them share it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ends = ExitStack()
        self._servers: dict[str, Server] = {}
        self._far: dict[str, tuple[str, tuple[int, ...]]] = {}
        ours = cores()
        self.sender_core, self.server_core = ours[0], ours[min(1, len(ours) - 1)]
        credentials.make(folder)

    def __enter__(self) -> Course:
        return self

    def __exit__(self, *error: object) -> None:
        self._ends.close()

    def measure(self, one: Run) -> Sample:
        """Run one row once.

        Raises:
            BenchFault: a server or sender did not work, or not every push was answered.
        """
        task = self._task(one)
        log = self._folder / f"{one.name.replace(' ', '-')}.log"
        command = [sys.executable, "-m", one.module, msgspec.json.encode(task).decode()]
        sample = msgspec.json.decode(run(command, self.sender_core, log, RUN_SECONDS_MAX), type=Sample)
        if sample.pushes != task.pushes:
            raise BenchFault(f"{one.name}: {sample.pushes:,} answers for {task.pushes:,} pushes")
        if not (task.refused or task.unavailable) and sample.accepted != sample.pushes:
            raise BenchFault(f"{one.name}: not every push was accepted: {sample.outcomes}")
        return sample

    def _task(self, one: Run) -> Task:
        shape = one.options["shape"]
        server = self._server(one.server, shape)
        url, pids = server.url, server.pids
        if one.is_far:
            url, relaying = self._relay(server)
            pids += relaying
        return Task(
            url=url,
            ca_file=str(self._folder / "tls" / "ca.pem"),
            core=self.sender_core,
            server_pids=pids,
            folder=str(self._folder),
            # nghttpd speaks no HTTP/1.1 and neither knows OAuth: the token always comes from the simulator
            token_url=f"{self._server('simulator', 'fcm').url}/token" if shape == "fcm" else "",
            **one.options,
        )

    def _server(self, kind: str, shape: str) -> Server:
        key = kind if kind in ("nghttpd", "haproxy", "refusing") else f"simulator {shape}"
        if key not in self._servers:
            self._servers[key] = self._ends.enter_context(self._starts[key]())
        return self._servers[key]

    @property
    def _starts(self) -> dict[str, Callable[[], AbstractContextManager[Server]]]:
        folder, core = self._folder, self.server_core
        return {
            "nghttpd": lambda: servers.nghttpd(folder, core),
            "haproxy": lambda: servers.haproxy(folder, core),
            "refusing": lambda: servers.simulator("apns", folder, core, validating=True),
            "simulator apns": lambda: servers.simulator("apns", folder, core),
            "simulator fcm": lambda: servers.simulator("fcm", folder, core),
        }

    def _relay(self, server: Server) -> tuple[str, tuple[int, ...]]:
        if server.kind not in self._far:
            far = self._ends.enter_context(relay(self._folder, self.server_core, server.port, LATENCY_MS / 2))
            self._far[server.kind] = far.url, far.pids
        return self._far[server.kind]


def rounds(
    course: Course, plan: Sequence[Run], count: int, say: Callable[[int, Run, Sample], None]
) -> dict[str, list[Sample]]:
    """Measure every row once a round, so that a slow minute of the machine meets all of them."""
    samples: dict[str, list[Sample]] = {one.name: [] for one in plan}
    for number in range(1, count + 1):
        for one in plan:
            sample = course.measure(one)
            samples[one.name].append(sample)
            say(number, one, sample)
    return samples
