"""The other end: independent HTTP/2 servers from Debian that answer as a provider would, or the bundled simulator.

| server | APNs shape | FCM shape | refusals |
|---|---|---|---|
| nghttpd | an empty file for each token; it echoes no apns-id | one file | - |
| HAProxy | 200 with the request's apns-id, after the whole body | a JSON body | by token prefix, with Apple's JSON |
| simulator | accept-all; for refusals validating, by planned tokens | accept-all | 503 once, then accepted |
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from channels.simulator import certificates, starting
from loadtests.bench.push import shapes
from loadtests.bench.push.processes import free_port, serving
from loadtests.bench.push.task import PEOPLE, Shape

STREAMS = 1_000  # concurrent streams of a connection, as Apple allows
_ANSWER = '{"name":"projects/klokke-bench/messages/0:1800000000000000%31bd1c96f9fd7ecd"}'


class Server(NamedTuple):
    """A running server. `kind` is nghttpd, haproxy or simulator; `echoes` says that it gives the apns-id back."""

    kind: str
    url: str
    port: int
    pids: tuple[int, ...]
    echoes: bool


def installed(program: str) -> str | None:
    """Where a server program is; Debian keeps some outside a user's PATH."""
    return shutil.which(program, path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin")))


@contextmanager
def nghttpd(folder: Path, core: int) -> Iterator[Server]:
    """Serve files to POST: nghttp2's own server. Its windows are wide, its streams as many as Apple's."""
    root = folder / "htdocs"
    _write_files(root)
    files, port = certificates.files(folder / "tls"), free_port()
    command = [installed("nghttpd") or "nghttpd", "-a", "127.0.0.1", "-d", str(root), "-m", str(STREAMS), "-W", "24",
               "-n", "1", str(port), str(files.key), str(files.certificate)]  # fmt: skip
    with serving(command, core, folder / "nghttpd.log", port) as pid:
        yield Server("nghttpd", f"https://localhost:{port}", port, (pid,), echoes=False)


def _write_files(root: Path) -> None:
    phones = root / "3" / "device"
    phones.mkdir(parents=True, exist_ok=True)
    for number in range(PEOPLE):
        (phones / shapes.apns_token(number).decode()).touch()
    answer = root / "v1" / "projects" / shapes.PROJECT / "messages:send"
    answer.parent.mkdir(parents=True, exist_ok=True)
    answer.write_text(_ANSWER)


@contextmanager
def haproxy(folder: Path, core: int) -> Iterator[Server]:
    """Answer by rules: HAProxy without anything behind it."""
    files, port = certificates.files(folder / "tls"), free_port()
    both = folder / "haproxy.pem"
    both.touch(0o600)
    both.write_bytes(files.certificate.read_bytes() + files.key.read_bytes())
    configuration = folder / "haproxy.cfg"
    configuration.write_text(haproxy_configuration(port, both))
    command = [installed("haproxy") or "haproxy", "-db", "-f", str(configuration)]
    with serving(command, core, folder / "haproxy.log", port) as pid:
        yield Server("haproxy", f"https://localhost:{port}", port, (pid,), echoes=True)


def haproxy_configuration(port: int, certificate: Path) -> str:
    """Write the configuration: answers only after the whole body, refusals by the beginning of the token."""

    def answer(status: int, body: str, when: str, *headers: str) -> str:
        given = "".join(f" hdr {header}" for header in headers)
        quoted = body.replace("\\", "\\\\").replace('"', '\\"').replace(" ", "\\ ").replace("%", "%%")
        content = f' content-type application/json string "{quoted}"' if body else ""
        return f"    http-request return status {status}{content}{given} if {when}\n"

    echo = "apns-id %[req.hdr(apns-id)]"
    rules = (
        answer(
            410, '{"reason":"Unregistered","timestamp":1800000000000}', f"{{ path_beg /3/device/{shapes.GONE} }}", echo
        )
        + answer(400, '{"reason":"BadDeviceToken"}', f"{{ path_beg /3/device/{shapes.BAD} }}", echo)
        + answer(
            503,
            '{"reason":"ServiceUnavailable"}',
            f"{{ path_beg /3/device/{shapes.UNAVAILABLE} }}",
            echo,
            "retry-after 2",
        )
        + answer(200, "", "{ path_beg /3/device/ }", echo)
        + answer(200, _ANSWER, "{ path_beg /v1/projects/ }")
    )
    return (
        "global\n    nbthread 1\n    maxconn 1000\n"
        f"    tune.h2.max-concurrent-streams {STREAMS}\n"
        "defaults\n    mode http\n    timeout client 60s\n    timeout server 60s\n    timeout connect 5s\n"
        f"frontend provider\n    bind 127.0.0.1:{port} ssl crt {certificate} alpn h2\n"
        "    option http-buffer-request\n    http-request wait-for-body time 10s\n" + rules
    )


@contextmanager
def simulator(shape: Shape, folder: Path, core: int, *, validating: bool = False) -> Iterator[Server]:
    """Our own: not independent, but always there."""
    mode = "validating" if validating else "accept-all"
    with starting.start(shape, folder / mode, mode=mode, tls_folder=folder / "tls", streams=STREAMS) as running:
        os.sched_setaffinity(running.process.pid, {core})
        yield Server(
            "simulator", running.url.replace("127.0.0.1", "localhost"), running.port, (running.process.pid,), True
        )
