"""`python -m channels.simulator apns|fcm|webpush|smtp`: the command line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from cyclopts.validators import Number

from channels.simulator.ledger import COLUMNS
from channels.simulator.options import OptionFault, Options, run_apns, run_fcm, run_smtp, run_webpush
from channels.simulator.provider_tokens import KeyFault
from channels.simulator.script import ScriptFault

app = App(
    name="klokke simulate",
    version_flags=[],
    default_parameter=Parameter(negative=()),
    help=f"""Start one simulated provider on loopback, for your own integration tests.

When it is ready it prints one JSON line with its address:

    {{"provider": "apns", "url": "https://127.0.0.1:41234"}}

SIGTERM or Ctrl-C ends it with status 0. The ledger it keeps is tab-separated: {", ".join(COLUMNS)}.
docs/simulators.md describes modes, scripts and the tokens that end badly on purpose.
""",
)

_DEFAULTS = Options()
Count = Annotated[int, Parameter(validator=Number(gte=1))]
Seconds = Annotated[float, Parameter(validator=Number(gt=0, lte=86_400))]
Shared = Annotated[Options, Parameter(name="*")]
"""The options that every simulator has, as if each had them of its own."""


@app.command
def apns(
    *,
    options: Shared = _DEFAULTS,
    public_key: Path | None = None,
    key_id: str = "",
    team_id: str = "",
    topic: list[str] | None = None,
    streams: Count = 1000,
    first_streams: Count = 1,
) -> None:
    """Simulate APNs: HTTP/2 over TLS, `POST /3/device/<token>`, judged by Apple's published rules.

    Example: klokke simulate apns --listen 127.0.0.1:2197 --ledger apns.tsv --tls-folder certs --topic dk.klokke.app

    Args:
        public_key: PEM public key (P-256) that fits the provider tokens; without it signatures are not checked.
        key_id: The only key id that is known.
        team_id: The only team id that is known.
        topic: A bundle id that is allowed; may be repeated. Without it all are.
        streams: Concurrent streams of a connection after its first accepted push.
        first_streams: Concurrent streams before that; Apple allows one.
    """
    run_apns(
        options,
        public_key,
        key_id,
        team_id,
        topic or [],
        streams,
        first_streams,
    )


@app.command
def fcm(
    *,
    options: Shared = _DEFAULTS,
    public_key: Path | None = None,
    project: str = "",
    token_seconds: Seconds = 3600,
    streams: Count = 1000,
) -> None:
    """Simulate FCM: HTTP/2 or HTTP/1.1 over TLS, `POST /v1/projects/<p>/messages:send`, OAuth at `POST /token`.

    Example: klokke simulate fcm --listen 127.0.0.1:8443 --ledger fcm.tsv --tls-folder certs --project klokke-demo

    Args:
        public_key: PEM public key (RSA) that fits the assertions; without it signatures are not checked.
        project: The only project that exists. Without it all do.
        token_seconds: Life of an access token.
        streams: Concurrent streams of an HTTP/2 connection.
    """
    run_fcm(
        options,
        public_key,
        project,
        token_seconds,
        streams,
    )


@app.command
def webpush(
    *,
    options: Shared = _DEFAULTS,
    vapid_key: str = "",
    streams: Count = 1000,
) -> None:
    """Simulate a push service of browsers: HTTP/2 or HTTP/1.1 over TLS, `POST /push/<name>` (RFC 8030, 8291, 8292).

    A browser's keys follow from its name: `GET /subscription/<name>` gives its subscription, docs/webpush.md the rule.

    Example: klokke simulate webpush --listen 127.0.0.1:8444 --ledger webpush.tsv --tls-folder certs

    Args:
        vapid_key: The only application server key that is known, in base64url. Without it any is.
        streams: Concurrent streams of an HTTP/2 connection.
    """
    run_webpush(options, vapid_key, streams)


@app.command
def smtp(
    *,
    options: Shared = _DEFAULTS,
    starttls: bool = False,
    size_bytes: Count = 10_485_760,
) -> None:
    """Simulate a mail relay: ESMTP with PIPELINING, 8BITMIME, SIZE and ENHANCEDSTATUSCODES, and a check of each mail.

    Example: klokke simulate smtp --listen 127.0.0.1:2525 --ledger smtp.tsv --starttls --tls-folder certs

    Args:
        starttls: Offer STARTTLS.
        size_bytes: Largest mail taken.
    """
    run_smtp(options, starttls, size_bytes)


def main() -> int:
    try:
        app(sys.argv[1:])
    except (OptionFault, KeyFault, ScriptFault) as fault:
        print(f"klokke simulate: {fault}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
