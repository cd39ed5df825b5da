"""Starts a simulator as a process of its own, for tests and demos: one line, ended by the `with` block.

with start("apns", tmp_path, public_key=pem, topic="dk.klokke.app") as apns:
    send_to(apns.url, trusting=apns.ca_file)
    assert apns.rows()[0]["status"] == "200"
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

START_SECONDS_MAX = 30.0
STOP_SECONDS_MAX = 15.0
_ROOT = Path(__file__).resolve().parents[2]

Value = str | int | float | bool | Path | Sequence[str]


class NotStarted(Exception):
    """The simulator did not come up; the text holds what it said."""


class Crashed(Exception):
    """The simulator ended by an error of its own; the text holds its log's end."""


class Running(NamedTuple):
    """A simulator that answers. `ledger` is complete once the process has ended, else up to 200 ms behind."""

    process: subprocess.Popen[str]
    url: str
    ledger: Path
    ca_file: Path

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 0

    def rows(self) -> list[dict[str, str]]:
        """The whole lines of the ledger so far, by column name."""
        heading, *lines = self.ledger.read_text("utf-8").split("\n")[:-1]
        names = heading.lstrip("#").split("\t")
        return [dict(zip(names, line.split("\t"), strict=True)) for line in lines]

    def wait_for_rows(self, count: int, seconds: float = 10.0) -> list[dict[str, str]]:
        """Wait until the ledger has at least so many lines.

        Raises:
            TimeoutError: it did not get there; the text says how far it got.
        """
        deadline = time.monotonic() + seconds
        while len(rows := self.rows()) < count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the ledger has {len(rows)} lines, not {count}")
            time.sleep(0.01)
        return rows

    def stop(self) -> int:
        """End the simulator by SIGTERM; gives its exit status. The ledger is complete afterwards."""
        self.process.terminate()
        try:
            return self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


@contextmanager
def start(provider: Literal["apns", "fcm", "webpush", "smtp"], folder: Path, **options: Value) -> Iterator[Running]:
    """Start a simulator whose ledger and certificates live in `folder`; blocks until it answers.

    Args:
        provider: Which one.
        folder: Made if missing; two simulators may share it, and then share their certificates.
        options: As on the command line, with `_` for `-`: `mode="accept-all"`, `script=path`, `topic=["a", "b"]`.

    Raises:
        NotStarted: a wrong option, or a port that is taken.
        Crashed: it ended by itself meanwhile.
    """
    running = launch(provider, folder, **options)
    try:
        yield running
    finally:
        died = running.process.poll()
        if died is None:
            running.stop()
        if running.process.stdout is not None:
            running.process.stdout.close()
    if died is not None and died > 0:
        log = folder / f"{provider}.log"
        raise Crashed(f"the {provider} simulator ended by itself with status {died}: {log.read_text().strip()[-2000:]}")


def launch(provider: Literal["apns", "fcm", "webpush", "smtp"], folder: Path, **options: Value) -> Running:
    """As `start`, for a caller that ends it by itself with `Running.stop`."""
    folder.mkdir(parents=True, exist_ok=True)
    given = {"ledger": folder / f"{provider}.tsv", "tls_folder": folder / "tls", "die_with_parent": True, **options}
    command = [sys.executable, "-m", "channels.simulator", provider, *_arguments(given)]
    search = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH", ""))))
    log = folder / f"{provider}.log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env={**os.environ, "PYTHONPATH": search}
        )
    line = _first_line(process)
    if not line:
        process.kill()
        process.wait()
        raise NotStarted(f"the {provider} simulator did not start: {log.read_text().strip()[-2000:]}")
    return Running(
        process, json.loads(line)["url"], Path(str(given["ledger"])), Path(str(given["tls_folder"])) / "ca.pem"
    )


def _first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        return process.stdout.readline() if selector.select(START_SECONDS_MAX) else ""


def _arguments(options: dict[str, Value]) -> list[str]:
    arguments: list[str] = []
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        if isinstance(value, bool):
            arguments += [flag] if value else []
        elif isinstance(value, str | int | float | Path):
            arguments += [flag, str(value)]
        else:
            for one in value:
                arguments += [flag, one]
    return arguments
