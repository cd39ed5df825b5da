"""What a simulator can be told, and how one is built from it."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import trio

from channels.simulator import certificates
from channels.simulator.apns import Apns
from channels.simulator.apns_rules import Sender
from channels.simulator.faults import Faults
from channels.simulator.fcm import Fcm
from channels.simulator.ledger import Ledger
from channels.simulator.oauth import OAuth
from channels.simulator.provider_tokens import read_public_key
from channels.simulator.providers import MailProvider, PushProvider
from channels.simulator.script import Script, read
from channels.simulator.serving import Provider, Server, announce_on_stdout, listen
from channels.simulator.smtp_service import Smtp
from channels.simulator.smtp_session import SmtpSession
from channels.simulator.webpush import WebPush

Mode = Literal["accept-all", "validating"]
_PR_SET_PDEATHSIG = 1
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class OptionFault(Exception):
    """An option cannot be used; the text names it and says what to give instead."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What all simulators share."""

    listen: str = "127.0.0.1:0"
    """Loopback address and port; port 0 takes a free one."""
    ledger: Path | None = None
    """File to which one line a request (smtp: a recipient) is appended."""
    tls_folder: Path | None = None
    """Where ca.pem (trust it in your client), server.pem and server.key are used from, or made."""
    mode: Mode = "validating"
    """accept-all takes everything; validating judges requests as the provider does."""
    script: Path | None = None
    """TOML file with faults over time; docs/simulators.md has examples."""
    seed: int = 0
    """Start of the script's draws: the same seed draws the same."""
    die_with_parent: bool = False
    """End when the parent process ends (Linux)."""


def run_apns(
    options: Options,
    public_key: Path | None,
    key_id: str,
    team_id: str,
    topics: list[str],
    streams: int,
    first_streams: int,
) -> None:
    key = read_public_key(public_key, "ES256") if public_key else None
    sender = Sender(key, key_id, team_id, frozenset(topics))

    def build(ledger: Ledger, faults: Faults, folder: Path, address: str) -> Provider:
        service = Apns(
            ledger,
            validating=options.mode == "validating",
            sender=sender,
            streams=streams,
            streams_at_first=first_streams,
        )
        context = certificates.server_context(certificates.files(folder), ["h2"])
        return PushProvider(service, faults, context, speaks_http1=False)

    _run("apns", "https", options, build)


def run_fcm(options: Options, public_key: Path | None, project: str, token_seconds: float, streams: int) -> None:
    key = read_public_key(public_key, "RS256") if public_key else None

    def build(ledger: Ledger, faults: Faults, folder: Path, address: str) -> Provider:
        port = address.rpartition(":")[2]
        ours = {f"https://{host}:{port}/token" for host in ("127.0.0.1", "localhost", "[::1]")}
        ours.add("https://oauth2.googleapis.com/token")  # google-auth names it whatever the account's token_uri is
        oauth = OAuth(key, token_seconds, ours.__contains__)
        service = Fcm(ledger, oauth, validating=options.mode == "validating", project=project, streams=streams)
        context = certificates.server_context(certificates.files(folder), ["h2", "http/1.1"])
        return PushProvider(service, faults, context, speaks_http1=True)

    _run("fcm", "https", options, build)


def run_webpush(options: Options, vapid_key: str, streams: int) -> None:
    def build(ledger: Ledger, faults: Faults, folder: Path, address: str) -> Provider:
        port = address.rpartition(":")[2]
        others = [f"https://{host}:{port}" for host in ("localhost", "127.0.0.1", "[::1]")]
        origins = [f"https://{address}", *others]  # the announced one first: subscriptions name it
        validating = options.mode == "validating"
        service = WebPush(ledger, origins=origins, validating=validating, key=vapid_key, streams=streams)
        context = certificates.server_context(certificates.files(folder), ["h2", "http/1.1"])
        return PushProvider(service, faults, context, speaks_http1=True)

    _run("webpush", "https", options, build)


def run_smtp(options: Options, starttls: bool, size_bytes: int) -> None:
    def build(ledger: Ledger, faults: Faults, folder: Path, address: str) -> Provider:
        service = Smtp(ledger, validating=options.mode == "validating", size_bytes=size_bytes)
        context = certificates.server_context(certificates.files(folder), []) if starttls else None
        return MailProvider(lambda: SmtpSession(service, faults, offers_tls=starttls), service.begin, context)

    _run("smtp", "smtp", options, build)


def _run(name: str, scheme: str, options: Options, build: Callable[[Ledger, Faults, Path, str], Provider]) -> None:
    """Serve until a signal comes."""
    host, port = _address(options.listen)
    faults = Faults(read(options.script) if options.script else Script(), options.seed)
    faults.move_to(0)
    if options.die_with_parent:
        _die_with_parent()

    async def serve(ledger: Ledger, folder: Path) -> None:
        listener = await listen(host, port)
        real = listener.socket.getsockname()
        address = f"[{real[0]}]:{real[1]}" if ":" in real[0] else f"{real[0]}:{real[1]}"
        server = Server(build(ledger, faults, folder, address), ledger, faults)
        # millions of short-lived tuples, nearly no cycles: collecting every 700 of them costs 5 % for nothing
        gc.freeze()
        gc.set_threshold(50_000, 20, 20)
        await server.run(listener, lambda: announce_on_stdout(name, f"{scheme}://{address}"))

    with tempfile.TemporaryDirectory(prefix="klokke-simulator-") as made:
        try:
            with Ledger(options.ledger) as ledger:
                trio.run(serve, ledger, options.tls_folder or Path(made))
        except* OSError as errors:
            raise OptionFault("; ".join(str(error) for error in errors.exceptions)) from None


def _address(listen: str) -> tuple[str, int]:
    """Read HOST:PORT; only loopback, since a simulator takes whatever it is sent."""
    host, colon, port = listen.rpartition(":")
    host = host.strip("[]")
    if not colon or not port.isdigit() or int(port) > 65_535:
        raise OptionFault(f"--listen {listen!r}: give HOST:PORT, as in 127.0.0.1:0 (0 takes a free port)")
    if host not in _LOOPBACK:
        raise OptionFault(f"--listen {listen!r}: a simulator listens on loopback only: {', '.join(_LOOPBACK)}")
    return host, int(port)


def _die_with_parent() -> None:
    """Have the kernel send us SIGTERM when our parent dies, however it dies (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() == 1:  # it died before we asked
            raise OptionFault("--die-with-parent: the parent is gone already")
