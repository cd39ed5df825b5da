"""smtplib as the generic mail client, and raw lines for what smtplib never does."""

from __future__ import annotations

import secrets
import smtplib
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.simulator.faults import Faults
from channels.simulator.ledger import Ledger, digest
from channels.simulator.script import Script
from channels.simulator.smtp_service import Smtp
from channels.simulator.smtp_session import SmtpSession
from channels.simulator.starting import Running, start
from tests.simulator.conftest import trusting


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[Running]:
    with start("smtp", tmp_path, starttls=True) as running:
        yield running


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """For tests that don't look into the ledger."""
    with start("smtp", tmp_path_factory.mktemp("relay"), starttls=True) as running:
        yield running


def mail(subject: str = "Æblegrød på fredag") -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Klokke <besked@klokke.example>"
    message["To"] = "mor@example.dk"
    message["Subject"] = subject
    message["Date"] = format_datetime(datetime.now(UTC))
    message["Message-ID"] = make_msgid(domain="klokke.example")
    message["X-Klokke-Event"] = "ev1"
    message.set_content("Hej\n.punktum først\n")
    message.add_alternative("<p>Hej æøå</p>", subtype="html")
    return message


def test_smtplib_delivers_to_the_good_and_learns_of_the_bad(relay: Running) -> None:
    message = mail()
    to = ["far@example.dk", "bounce7@example.dk", "busy@example.dk"]
    with smtplib.SMTP(relay.host, relay.port, timeout=5) as client:
        client.ehlo("localhost")
        assert {"pipelining", "8bitmime", "size", "enhancedstatuscodes", "starttls"} <= client.esmtp_features.keys()
        assert "smtputf8" not in client.esmtp_features
        refused = client.send_message(message, to_addrs=to)
        assert {address: code for address, (code, _) in refused.items()} == {to[1]: 550, to[2]: 451}
        client.send_message(message, to_addrs=[to[2]])  # busy only once
    relay.stop()
    rows = {(row["address"], row["status"]): row for row in relay.rows()}
    assert rows.keys() == {(to[0], "250"), (to[1], "550"), (to[2], "451"), (to[2], "250")}
    accepted = rows[to[0], "250"]
    assert (accepted["delivery"], accepted["event"]) == (message["Message-ID"], "ev1")
    assert accepted["text"] == digest("Æblegrød på fredag").decode()
    assert rows[to[1], "550"]["reason"] == "5.1.1"


def test_smtplib_goes_on_under_tls(shared: Running) -> None:
    with smtplib.SMTP(shared.host, shared.port, timeout=5) as client:
        client.starttls(context=trusting(shared.ca_file))
        client.ehlo("localhost")
        assert "starttls" not in client.esmtp_features
        assert client.send_message(mail(), to_addrs=["far@example.dk"]) == {}


def test_a_mail_with_a_second_from_is_refused(relay: Running) -> None:
    text = b"From: evil@example.dk\r\n" + mail().as_bytes().replace(b"\n", b"\r\n")
    with smtplib.SMTP(relay.host, relay.port, timeout=5) as client, pytest.raises(smtplib.SMTPDataError) as refused:
        client.sendmail("a@example.dk", ["far@example.dk"], text)
    assert refused.value.smtp_code == 554
    assert relay.wait_for_rows(1)[0]["reason"] == "5.6.0"


def converse(relay: Running, *sent: bytes) -> list[str]:
    """Send chunks, each after the first line of reply to the one before; gives all reply lines."""
    with socket.create_connection((relay.host, relay.port), 5) as connection:
        file = connection.makefile("rb")
        lines = [file.readline()]
        for chunk in sent:
            connection.sendall(chunk)
            lines.append(file.readline())
        lines += file.readlines()
    return [line.decode().strip() for line in lines]


def test_pipelined_commands_are_answered_in_order_and_a_mail_may_follow_a_mail(shared: Running) -> None:
    body = mail("x").as_bytes().replace(b"\r\n", b"\n").replace(b"\n.", b"\n..").replace(b"\n", b"\r\n")
    start_mail = b"MAIL FROM:<a@b.dk>\r\nRCPT TO:<c@d.dk>\r\nDATA\r\n"
    with socket.create_connection((shared.host, shared.port), 5) as connection:
        file = connection.makefile("rb")
        codes = [file.readline()[:3]]
        connection.sendall(b"HELO a.dk\r\n" + start_mail)
        codes += [file.readline()[:3] for _ in range(4)]
        connection.sendall(body + b".\r\n" + start_mail)
        codes += [file.readline()[:3] for _ in range(4)]
        connection.sendall(body + b".\r\nQUIT\r\n")
        codes += [line[:3] for line in file.readlines()]
    assert codes == [b"220", b"250", b"250", b"250", b"354", b"250", b"250", b"250", b"354", b"250", b"221"]


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"MAIL FROM:<a@b.dk>\r\n", "503"),
        (b"EHLO\r\n", "501"),
        (b"EHLO a b\r\n", "501"),
        (b"XYZZY\r\n", "500"),
        (b"NOOP\n\r\n", "500"),  # a bare LF is no line end: it stands within the line
        (b"NOOP " + b"x" * 600 + b"\r\n", "500"),
        (b"EHLO a.dk\r\nQUIT\r\n", "250"),
        (b"STARTTLS\r\nNOOP\r\n", "554"),
        (b"AUTH PLAIN x\r\n", "502"),
    ],
)
def test_syntax_is_strict(shared: Running, sent: bytes, code: str) -> None:
    assert converse(shared, sent + b"QUIT\r\n")[1][:3] == code


def test_data_must_wait_for_its_go_ahead(shared: Running) -> None:
    eager = b"HELO a.dk\r\nMAIL FROM:<a@b.dk>\r\nRCPT TO:<c@d.dk>\r\nDATA\r\nSubject: x\r\n\r\n.\r\n"
    assert converse(shared, eager)[-1].startswith("554 5.5.0")


COMMANDS = f"""
EHLO a.dk
MAIL FROM:<a@b.dk>
MAIL FROM:<a@b.dk> SIZE=10 BODY=8BITMIME
MAIL FROM:<a@b.dk> SIZE=99999999
MAIL FROM:<>
RCPT TO:<c@d.dk>
RCPT TO:<dead@d.dk>
RCPT TO:<busy1@d.dk>
RCPT TO:<{"y" * 65}@d.dk>
RCPT TO:<bad address>
DATA
RSET
.
""".encode().splitlines()[1:]
MAIL = b"Subject: x\r\n\r\nhello\r\n.\r\n"
commands = st.lists(st.sampled_from([*(line + b"\r\n" for line in COMMANDS), MAIL]), max_size=14)


def replies(reads: list[bytes], validating: bool, folder: Path) -> tuple[bytes, bytes]:
    """What a session says to these reads, and the ledger."""
    path = folder / f"{secrets.token_hex(8)}.tsv"
    with Ledger(path) as ledger:
        service = Smtp(ledger, validating=validating, size_bytes=1000)
        session = SmtpSession(service, Faults(Script(), 0), offers_tls=False)
        for data in (b"EHLO a.dk\r\n", *reads):
            session.receive(data, 0.0)
        said = session.take_output()
    return said, path.read_bytes()


@settings(max_examples=200, deadline=None)
@given(commands, st.booleans())
def test_a_group_of_commands_fares_as_one_command_after_the_other(
    tmp_path_factory: pytest.TempPathFactory, sent: list[bytes], validating: bool
) -> None:
    folder = tmp_path_factory.getbasetemp()
    grouped = [b""]
    for command in sent:  # nothing may come behind DATA before its reply
        grouped[-1] += command
        if command == b"DATA\r\n":
            grouped.append(b"")
    assert replies(grouped, validating, folder) == replies(sent, validating, folder)
