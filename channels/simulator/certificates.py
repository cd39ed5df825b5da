"""Throw-away certificates for loopback, made at run time: nothing that looks like a key is kept in the repository."""

from __future__ import annotations

import fcntl
import os
import ssl
from pathlib import Path
from typing import NamedTuple

import trustme

CA, CERTIFICATE, KEY = "ca.pem", "server.pem", "server.key"


class Files(NamedTuple):
    """Where the authority that clients must trust, the server's certificate chain and its key are."""

    ca: Path
    certificate: Path
    key: Path


def files(folder: Path) -> Files:
    """Use the certificates of a folder, or make them for `localhost`, 127.0.0.1 and ::1 when one is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    found = Files(folder / CA, folder / CERTIFICATE, folder / KEY)
    with (folder / ".lock").open("wb") as lock:  # two simulators that start at once must end up with one authority
        fcntl.flock(lock, fcntl.LOCK_EX)
        _make_if_missing(found)
    return found


def _make_if_missing(found: Files) -> None:
    if not all(path.exists() for path in found):
        authority = trustme.CA(organization_name="Simulated provider, for tests only")
        issued = authority.issue_cert("localhost", "127.0.0.1", "::1")
        key = os.open(found.key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(key, "wb") as file:
            file.write(issued.private_key_pem.bytes())
        found.certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        found.ca.write_bytes(authority.cert_pem.bytes())


def server_context(found: Files, protocols: list[str]) -> ssl.SSLContext:
    """A TLS 1.2+ server context offering these ALPN protocols; a client without ALPN is taken too."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(found.certificate, found.key)
    if protocols:
        context.set_alpn_protocols(protocols)
    return context
