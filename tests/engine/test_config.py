"""The configuration: the example is valid, and every fault is named at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine import config
from engine.composition import badge_lanes, limits

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
    assert isinstance(loaded.lanes["apns.parent"], config.ApnsLane)
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
        "lanes.apns.parent.provider",
        "service[0].name",
        "service[0].key_sha256",
        "service[0].scopes",
        "processes.layout",
        "processes.layout",
        "processes.layout",
        "processes.layout",
        "gateway.ticket_key_file",
    ]
    assert "did you mean listen?" in faults[1]


FCM = """
[gateway]
ticket_key_file = "secrets/ticket.key"
[lanes."fcm.parent"]
provider = "fcm"
service_account_file = "secrets/service-account.json"
"""


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ("quota_per_minute = 0", "lanes.fcm.parent.quota_per_minute: expected `int` >= 60"),
        ("ramp_seconds = -1", "lanes.fcm.parent.ramp_seconds: expected `float` >= 0.0"),
        ("badge = 1", "lanes.fcm.parent.badge: expected `bool`, got `int`"),
        ("burst = 70000", "lanes.fcm.parent.burst: at most a tenth of quota_per_minute (60000)"),
        ('[lanes."fcm.staff"]\nprovider = "fcm"\nservice_account_file = "secrets/service-account.json"',
         "lanes.fcm.staff.quota_per_minute: shares a service account with fcm.parent"),
    ],
)  # fmt: skip
def test_faulty_manners_of_an_fcm_lane_are_named(folder: Path, lines: str, fault: str) -> None:
    assert [found for found in faults_of(folder, FCM + lines) if found.startswith(fault)]


def test_an_fcm_lane_has_a_quota_and_a_ramp_unless_it_says_otherwise(folder: Path) -> None:
    path = folder / "klokke.toml"
    path.write_text(FCM)
    limit = limits(config.load(path))["fcm.parent"]
    assert (limit.burst, limit.ramp_seconds) == (2308, 60.0)
    assert limit.rate_per_second == pytest.approx(9195, abs=1)
    path.write_text(FCM + "quota_per_minute = 600000000\nramp_seconds = 0\nrate_per_second = 50000\nbadge = true")
    loaded = config.load(path)
    assert limits(loaded)["fcm.parent"].rate_per_second == 50_000
    assert limits(loaded)["fcm.parent"].ramp_seconds == 0
    assert badge_lanes(loaded) == {"fcm.parent"}


@pytest.mark.parametrize("text", ["= 1", "[store", 'a = "\\x"'])
def test_what_is_not_toml_is_said_plainly(folder: Path, text: str) -> None:
    assert faults_of(folder, text)[0].startswith("is not TOML")


def test_a_missing_file_is_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(config.ConfigFaulty, match="cannot be read: No such file"):
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
        ("webpush.fcm", "http://fcm.googleapis.com", "mailto:a@b.dk", "lanes.webpush.fcm.origin"),
        ("webpush.fcm", "https://fcm.googleapis.com/", "mailto:a@b.dk", "lanes.webpush.fcm.origin"),
        ("webpush.fcm", "https://fcm.googleapis.com@evil.dk", "mailto:a@b.dk", "lanes.webpush.fcm.origin"),
        ("webpush.fcm", "https://10.0.0.1", "mailto:a@b.dk", "allow_private = true"),
        ("webpush.fcm", "https://fcm.googleapis.com", "a@b.dk", "lanes.webpush.fcm.subject"),
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
        assert isinstance(config.load(folder / "klokke.toml").lanes[name], config.WebPushLane)
    else:
        (found,) = faults_of(folder, text)
        assert fault in found


def test_two_web_push_lanes_have_not_the_same_origin_and_app(folder: Path) -> None:
    text = '[gateway]\nticket_key_file = "secrets/ticket.key"\n'
    for name in ("webpush.a", "webpush.b"):
        text += WEB_LANE.format(name=name, origin="https://fcm.googleapis.com", subject="mailto:a@b.dk")
    assert faults_of(folder, text) == ["lanes.webpush.b.origin: webpush.a has the same one for the same app"]
    path = folder / "klokke.toml"
    path.write_text(text + 'app = "staff"\n')
    assert len(config.load(path).lanes) == 2
