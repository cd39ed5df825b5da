"""The configuration: the example is valid, and every fault is named at once."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from engine import config
from engine.settings import ApnsLane, WebPushLane
from engine.start_checks import start_faults
from engine.ways_out import badge_lanes, limits
from tests.journeys.test_docs_api import free_ports

EXAMPLE = Path(__file__).parents[2] / "klokke.example.toml"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "secrets").mkdir()
    for name in ("ticket.key", "AuthKey.p8", "service-account.json"):
        (tmp_path / "secrets" / name).write_text("made by the test")
    return tmp_path


def faults_of(folder: Path, text: str) -> list[str]:
    path = folder / "klokke.toml"
    path.write_text(text)
    with pytest.raises(config.ConfigFaulty) as caught:
        config.load(path)
    return caught.value.faults


def test_the_example_is_valid(folder: Path) -> None:
    path = folder / "klokke.toml"
    path.write_text(EXAMPLE.read_text())
    loaded = config.load(path)
    assert isinstance(loaded.lanes["apns.parent"], ApnsLane)
    assert loaded.processes.layout[0] == "intake+gateway"


def test_every_fault_is_reported_at_once(folder: Path) -> None:
    faults = faults_of(
        folder,
        """
        wrong = 1
        [intake]
        lisen = "x"
        [gateway]
        listen = 8601
        ticket_key_file = "secrets/none.key"
        [processes]
        layout = ["intake+gateway", "dispach"]
        [lanes.post]
        provider = "smtp"
        relay = "here:25"
        [lanes."apns.parent"]
        provider = "pigeon"
        [[service]]
        name = "Messages"
        key_sha256 = "short"
        tenants = ["0101"]
        scopes = ["everything"]
        """,
    )
    starts = [fault.split(":")[0] for fault in faults]
    assert starts == [
        "wrong",
        "intake.lisen",
        "gateway.listen",
        "lanes.post",
        "lanes.post.sender",
        'lanes."apns.parent".provider',
        "service[0].name",
        "service[0].key_sha256",
        "service[0].scopes[0]",
        "processes.layout",
        "processes.layout",
        "processes.layout",
        "processes.layout",
        "gateway.ticket_key_file",
    ]
    assert "did you mean listen?" in faults[1]


LANE = """
[gateway]
ticket_key_file = "secrets/ticket.key"
[lanes.email]
provider = "smtp"
sender = "a@example.org"
"""
FCM = """
relay = "r:25"
[lanes."fcm.{app}"]
provider = "fcm"
service_account_file = "secrets/{file}.json"
"""
SERVICE = """
[[service]]
name = "messages"
key_sha256 = "{digest}"
tenants = ["{tenant}"]
scopes = ["events"]
"""


@pytest.mark.parametrize(
    ("text", "setting", "remedy"),
    [
        ('relay = "relay.example:99999"', "lanes.email.relay", "a host and a port from 1 to 65535"),
        ('relay = "relay.example"', "lanes.email.relay", "a host and a port"),
        ('relay = "relay.example:25"\ntls = "none"', "lanes.email.tls", "choose starttls or implicit"),
        ('relay = "10.0.0.1:25"\ntls = "none"', "lanes.email.tls", "choose starttls or implicit"),
        ('relay = "[::1]:25"\ntls = "none"\nusername = "x"', "lanes.email", "username and password_file"),
        ('relay = "r:25"\ntls = "no"', "lanes.email.tls", "must be one of implicit, none, starttls"),
        ('relay = "r:25"\nrate_per_second = 0', "lanes.email.rate_per_second", "must be more than 0"),
        ('relay = "r:25"\nrate_per_second = nan', "lanes.email.rate_per_second", "a finite number"),
        ('relay = "r:25"\nburst = 1.5', "lanes.email.burst", "must be a whole number"),
        ('relay = "r:25"\n[intake]\nlisten = "127.0.0.1:8601"', "gateway.listen", "8601 is given to intake.listen"),
        ('relay = "r:25"\n[intake]\nlisten = "0.0.0.0:9601"', "metrics.first_port + 1", "given to intake.listen"),
        ('relay = "r:25"\n[intake]\nlisten = "127.0.0.1:0"', "intake.listen", "a port from 1 to 65535"),
        ('relay = "r:25"\n[store]\nurl = "http://x"', "store.url", "starts with redis://"),
        (FCM.format(app="Parent", file="service-account"), 'lanes."fcm.Parent"', "1 to 12 letters"),
        (FCM.format(app="parent", file="none"),
         'lanes."fcm.parent".service_account_file', "there is no such file"),
        ('relay = "r:25"' + SERVICE.format(digest="x", tenant="0101"), "service[0].key_sha256", "64 hexadecimal"),
        ('relay = "r:25"' + SERVICE.format(digest="a" * 64, tenant="9999"), "service[0].tenants[0]", "98 Danish"),
        ('relay = "r:25"' + 2 * SERVICE.format(digest="a" * 64, tenant="*"), "service[1].key_sha256", "service[0] too"),
        ('relay = "r:25"' + SERVICE.format(digest="a" * 64, tenant='0101", "0101'), "service[0].tenants", "twice"),
    ],
)  # fmt: skip
def test_a_fault_names_the_setting_as_the_file_does_and_its_remedy_in_words(
    folder: Path, text: str, setting: str, remedy: str
) -> None:
    (fault,) = faults_of(folder, LANE + text)
    assert fault.startswith(setting + ": ")
    assert remedy in fault
    assert "^" not in fault


def test_the_sound_part_of_a_faulty_file_is_still_looked_at(folder: Path) -> None:
    (folder / "klokke.toml").write_text(
        EXAMPLE.read_text()
        .replace('relay = "relay.example:587"', 'relay = "relay.example"')
        .replace('host = "127.0.0.1"', "host = 1")
    )
    reading = config.examine(folder / "klokke.toml")
    assert [fault.split(":")[0] for fault in reading.faults] == ["metrics.host", "lanes.email.relay"]
    assert list(reading.config.lanes) == ["apns.parent", "fcm.parent", "inapp"]
    found = start_faults(folder, reading.config, check_only=True)
    assert [fault.split(":")[0] for fault in found] == [
        "gateway.ticket_key_file",
        'lanes."apns.parent".key_file',
        'lanes."fcm.parent"',
    ]


@pytest.mark.parametrize(("store", "words"), [("secrets/ticket.key", "is no folder"), ("x" * 100, "too long")])
def test_a_store_folder_that_cannot_be_one_is_said_before_the_start(folder: Path, store: str, words: str) -> None:
    (folder / "secrets" / "ticket.key").write_bytes(b"k" * 32)
    (folder / "klokke.toml").write_text(LANE + f'relay = "r:25"\n[store]\nfolder = "{store}"')
    (fault,) = start_faults(folder, config.load(folder / "klokke.toml"), check_only=True)
    assert fault.startswith("store.folder: ")
    assert words in fault


def test_a_check_beside_a_running_engine_does_not_mind_its_ports(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:
        listen = f"127.0.0.1:{door.getsockname()[1]}"
        gateway, metrics = free_ports(2)
        text = LANE.replace("[gateway]", f'[gateway]\nlisten = "127.0.0.1:{gateway}"')
        text += f'relay = "r:25"\n[intake]\nlisten = "{listen}"\n[metrics]\nfirst_port = {metrics}\n'
        text += '[processes]\nlayout = ["intake+gateway+fanout+upkeep+dispatch"]'
        (folder / "klokke.toml").write_text(text)
        (folder / "secrets" / "ticket.key").write_bytes(b"k" * 32)
        loaded = config.load(folder / "klokke.toml")
        assert start_faults(folder, loaded, check_only=True) == []
        (fault,) = start_faults(folder, loaded, check_only=False)
    assert fault == f"intake.listen: cannot listen on {listen}: Address already in use"


FCM_LANE = """
[gateway]
ticket_key_file = "secrets/ticket.key"
[lanes."fcm.parent"]
provider = "fcm"
service_account_file = "secrets/service-account.json"
"""


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ("quota_per_minute = 0", 'lanes."fcm.parent".quota_per_minute: must be at least 60'),
        ("ramp_seconds = -1", 'lanes."fcm.parent".ramp_seconds: must be at least 0'),
        ("badge = 1", 'lanes."fcm.parent".badge: must be true or false, not a number'),
        ("burst = 70000", 'lanes."fcm.parent".burst: at most a tenth of quota_per_minute (60000)'),
        ('[lanes."fcm.staff"]\nprovider = "fcm"\nservice_account_file = "secrets/service-account.json"',
         'lanes."fcm.staff".quota_per_minute: shares a service account with fcm.parent'),
    ],
)  # fmt: skip
def test_faulty_manners_of_an_fcm_lane_are_named(folder: Path, lines: str, fault: str) -> None:
    assert [found for found in faults_of(folder, FCM_LANE + lines) if found.startswith(fault)]


def test_two_accounts_of_one_project_share_its_quota(folder: Path) -> None:
    account = json.dumps({"project_id": "one-project"})
    for name in ("service-account", "copy"):
        (folder / "secrets" / f"{name}.json").write_text(account)
    other = FCM_LANE[FCM_LANE.index("[lanes") :].replace("fcm.parent", "fcm.staff").replace("service-account", "copy")
    (folder / "klokke.toml").write_text(FCM_LANE + other)
    found = start_faults(folder, config.examine(folder / "klokke.toml").config, check_only=True)
    assert [fault for fault in found if fault.startswith('lanes."fcm.staff".quota_per_minute: its service account')]


def test_lanes_that_only_collide_with_another_are_still_looked_at(folder: Path) -> None:
    text = FCM_LANE + FCM_LANE[FCM_LANE.index("[lanes") :].replace("fcm.parent", "fcm.staff")
    for name in ("webpush.a", "webpush.b"):
        text += WEB_LANE.format(name=name, origin="https://push.example", subject="mailto:a@b.dk")
    (folder / "klokke.toml").write_text(text)
    reading = config.examine(folder / "klokke.toml")
    assert [fault.split(": ")[0] for fault in reading.faults] == [
        'lanes."fcm.staff".quota_per_minute',
        'lanes."webpush.b".origin',
    ]
    assert list(reading.config.lanes) == ["fcm.parent", "fcm.staff", "webpush.a", "webpush.b"]
    found = start_faults(folder, reading.config, check_only=True)
    assert 'lanes."webpush.a".vapid_key_file' in [fault.split(": ")[0] for fault in found]


def test_an_fcm_lane_has_a_quota_and_a_ramp_unless_it_says_otherwise(folder: Path) -> None:
    path = folder / "klokke.toml"
    path.write_text(FCM_LANE)
    limit = limits(config.load(path))["fcm.parent"]
    assert (limit.burst, limit.ramp_seconds) == (2308, 60.0)
    assert limit.rate_per_second == pytest.approx(9195, abs=1)
    path.write_text(FCM_LANE + "quota_per_minute = 600000000\nramp_seconds = 0\nrate_per_second = 50000\nbadge = true")
    loaded = config.load(path)
    assert limits(loaded)["fcm.parent"].rate_per_second == 50_000
    assert limits(loaded)["fcm.parent"].ramp_seconds == 0
    assert badge_lanes(loaded) == {"fcm.parent"}


@pytest.mark.parametrize("text", ["= 1", "[store", 'a = "\\x"'])
def test_what_is_not_toml_is_said_plainly(folder: Path, text: str) -> None:
    assert faults_of(folder, text)[0].startswith("is not TOML")


def test_a_missing_file_is_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(config.ConfigFaulty, match=r"there is no such file; copy klokke\.example\.toml"):
        config.load(tmp_path / "none.toml")


WEB_LANE = """
[lanes."{name}"]
provider = "webpush"
origin = "{origin}"
vapid_key_file = "secrets/AuthKey.p8"
subject = "{subject}"
"""


@pytest.mark.parametrize(
    ("name", "origin", "subject", "fault"),
    [
        ("webpush.fcm", "https://fcm.googleapis.com", "mailto:a@b.dk", None),
        ("webpush", "https://fcm.googleapis.com", "mailto:a@b.dk", "must be called webpush.<service>"),
        ("webpush.microsoft", "https://fcm.googleapis.com", "mailto:a@b.dk", "must be called webpush.<service>"),
        ("webpush.fcm", "http://fcm.googleapis.com", "mailto:a@b.dk", 'lanes."webpush.fcm".origin: must be https://'),
        ("webpush.fcm", "https://fcm.googleapis.com/", "mailto:a@b.dk", 'lanes."webpush.fcm".origin: must be https://'),
        (
            "webpush.fcm",
            "https://fcm.googleapis.com@evil.dk",
            "mailto:a@b.dk",
            'lanes."webpush.fcm".origin: must be https://',
        ),
        ("webpush.fcm", "https://10.0.0.1", "mailto:a@b.dk", "allow_private = true"),
        ("webpush.fcm", "https://fcm.googleapis.com", "a@b.dk", 'lanes."webpush.fcm".subject: must be a contact'),
    ],
)
def test_a_web_push_lane_names_an_origin_and_a_contact(
    folder: Path, name: str, origin: str, subject: str, fault: str | None
) -> None:
    text = '[gateway]\nticket_key_file = "secrets/ticket.key"\n' + WEB_LANE.format(
        name=name, origin=origin, subject=subject
    )
    if fault is None:
        (folder / "klokke.toml").write_text(text)
        assert isinstance(config.load(folder / "klokke.toml").lanes[name], WebPushLane)
    else:
        (found,) = faults_of(folder, text)
        assert fault in found


def test_two_web_push_lanes_have_not_the_same_origin_and_app(folder: Path) -> None:
    text = '[gateway]\nticket_key_file = "secrets/ticket.key"\n'
    for name in ("webpush.a", "webpush.b"):
        text += WEB_LANE.format(name=name, origin="https://fcm.googleapis.com", subject="mailto:a@b.dk")
    assert faults_of(folder, text) == ['lanes."webpush.b".origin: webpush.a has the same one for the same app']
    path = folder / "klokke.toml"
    path.write_text(text + 'app = "staff"\n')
    assert len(config.load(path).lanes) == 2
