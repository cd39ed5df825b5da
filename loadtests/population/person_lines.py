"""What a person carries, drawn from the seed and the person's serial alone, so that it stays the same as years pass.

The shares follow what is known of school platforms: about three in four adults are reached by push, one in four wants
e-mail (who does not has it in `off`), a quarter has quiet hours at night, a few have odd ones.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from bisect import bisect_right
from hashlib import shake_128
from struct import Struct

from loadtests.population.web_subscriptions import web_device

CATEGORIES = ("message", "calendar", "post", "presence", "survey", "announcement")
PARENT_APP, STAFF_APP = "parent", "staff"
DEAD_PREFIX = "dead"  # the simulated providers answer such a token as unregistered
DEAD_SHARE = 0.003
BUSY_PREFIX = "feed"  # ... and such an APNs token once as asked too often, so that a retry can be seen
BUSY_SHARE = 0.0004  # Google's answers of that kind would slow the whole lane, so only Apple's phones have it
WANTS_EMAIL = 0.25
HAS_ADDRESS = 0.95
PUPIL_PHONE_AGE = 10
PUPIL_HAS_DEVICE = 0.35
PROTECTED_SHARE = 0.01  # children whose name and address are protected: their lines bring no name
GIVEN_NAMES = (
    *("Agnes", "Alma", "Anna", "Asta", "Ella", "Ellen", "Emma", "Freja", "Frida", "Ida", "Josefine", "Karla", "Lærke"),
    *("Luna", "Maja", "Mathilde", "Nora", "Sofie", "Åse", "Aksel", "Albert", "Alfred", "Arthur", "August", "Bo"),
    *(
        "Carl",
        "Elias",
        "Emil",
        "Jens Ole",
        "Karl-Emil",
        "Lauge",
        "Liam",
        "Malthe",
        "Noah",
        "Oscar",
        "Søren",
        "Valdemar",
    ),
)
STAFF_APP_BESIDE = 0.5  # guardians who are staff and carry the staff app as well
ENGLISH = 0.06
WEB_SHARE = 0.05  # guardians who switched notifications on in a browser

_DRAWS = Struct("<8H")  # device mix, e-mail, opt-outs, quiet hours, language, dead, staff app, spare
_ONE = 65536
_WEB_DRAWS = Struct("<2H")  # has one, dead
_WEB_NAME_BYTES = 18  # 24 letters
_FCM_RANDOM_BYTES = 108  # 144 characters of base64, no padding


def _table(*shares: tuple[float, str]) -> tuple[list[int], list[str]]:
    """Turn (share, value) rows into cumulative limits and values for `_pick`; the last row takes the rest."""
    limits, total = [], 0.0
    for share, _ in shares[:-1]:
        total += share
        limits.append(round(total * _ONE))
    return limits, [value for _, value in shares]


def _pick(table: tuple[list[int], list[str]], draw: int) -> str:
    return table[1][bisect_right(table[0], draw)]


# one letter a device: i = iOS, a = Android
ADULT_DEVICES = _table((0.25, ""), (0.06, "ia"), (0.06, "ii"), (0.03, "aa"), (0.24, "a"), (0.36, "i"))
PUPIL_DEVICES = _table((1 - PUPIL_HAS_DEVICE, ""), (0.02, "ia"), (0.13, "a"), (0.20, "i"))

_ALL = ",".join(f'"{category}"' for category in CATEGORIES)
PUSH_OFF = _table(
    (0.06, '"post"'),
    (0.04, '"survey"'),
    (0.03, '"post","announcement"'),
    (0.03, '"calendar"'),
    (0.02, '"announcement"'),
    (0.01, '"message"'),
    (0.005, _ALL),
    (0.805, ""),
)
EMAIL_OFF = _table((WANTS_EMAIL * 0.9, ""), (WANTS_EMAIL * 0.1, '"post","survey"'), (1 - WANTS_EMAIL, _ALL))
INAPP_OFF_SHARE = 0.004
PREFIXES = _table((DEAD_SHARE, DEAD_PREFIX), (BUSY_SHARE, BUSY_PREFIX), (1 - DEAD_SHARE - BUSY_SHARE, ""))
_DIGITS = "0123456789"

_EVERY_DAY = "0,1,2,3,4,5,6"


def _hours(days: str, start: str, until: str) -> str:
    return f'{{"days":[{days}],"from":"{start}","until":"{until}"}}'


QUIET = _table(
    (0.25, _hours(_EVERY_DAY, "21:00", "06:30")),
    (0.006, _hours("0,1,2,3,4", "22:30", "07:00") + "," + _hours("5,6", "20:00", "09:30")),
    (0.005, _hours("0,1,2,3,4", "08:00", "15:00")),  # at work
    (0.003, _hours("4,5", "18:00", "18:00")),  # from Friday evening until Sunday evening
    (0.002, _hours(_EVERY_DAY, "00:00", "00:00")),  # always: until the same time next day
    (0.004, _hours("6", "00:30", "12:00")),
    (0.73, ""),
)


GUARDIAN, STAFF, BOTH, PUPIL, SMALL = "guardian", "staff", "both", "pupil", "small"
"""Who carries what: a small child nothing, an older pupil perhaps a phone, adults phones, mail and their choices."""


def carrier_of_child(age: int) -> str:
    """Say whether a child may have a phone; `age` counts school years from 0 in day-care."""
    return PUPIL if age >= PUPIL_PHONE_AGE else SMALL


class PersonLines:
    """Makes the NDJSON line of one person; the seed decides everything that is not given.

    `web_origin` is the push service that browsers subscribed at, as `https://localhost:8444`; empty: nobody uses one.
    """

    def __init__(self, seed: int, web_origin: str = "", *, has_quiet_hours: bool = True) -> None:
        self._has_quiet_hours = has_quiet_hours
        self._salt = seed.to_bytes(8, "little", signed=True)
        self._web_origin = web_origin

    def line(self, serial: int, tenant: str, carrier: str, profile: str, guardians: str) -> str:
        """Spell one person; `profile` and `guardians` are the JSON texts inside the brackets, or empty."""
        head = f'{{"kind":"person","id":"p-{serial:07d}","tenant":"{tenant}"'
        draws = _DRAWS.unpack(self._random(serial, b"d", 16))
        if carrier in (SMALL, PUPIL) and draws[7] >= PROTECTED_SHARE * _ONE:
            head += f',"name":"{GIVEN_NAMES[draws[1] % len(GIVEN_NAMES)]}"'
        if profile:
            head += f',"profiles":[{profile}]'
        if guardians:
            head += f',"guardians":[{guardians}]'
        if draws[4] < ENGLISH * _ONE:
            head += ',"language":"en"'
        if carrier is SMALL:
            return head + "}\n"
        devices = self._devices(serial, draws, carrier)
        if self._web_origin and carrier in (GUARDIAN, BOTH):
            devices = ",".join(filter(None, (devices, self._browser(serial))))
        if devices:
            head += f',"devices":[{devices}]'
        if carrier is not PUPIL:
            head += self._choices(serial, draws)
        elif not devices:
            return head + "}\n"
        quiet = _pick(QUIET, draws[3]) if self._has_quiet_hours else ""
        if quiet:
            head += f',"quiet":[{quiet}]'
        return head + "}\n"

    def _choices(self, serial: int, draws: tuple[int, ...]) -> str:
        """An adult's mail address and opt-outs."""
        address = f',"email":"p{serial:07d}@mail{serial % 5}.example"' if draws[7] < HAS_ADDRESS * _ONE else ""
        off = []
        if email := _pick(EMAIL_OFF, draws[1]):
            off.append(f'"email":[{email}]')
        if push := _pick(PUSH_OFF, draws[2]):
            off.append(f'"push":[{push}]')
        if draws[6] % 1024 < round(INAPP_OFF_SHARE * 1024):
            off.append('"inapp":["post","survey"]')
        return f'{address},"off":{{{",".join(off)}}}' if off else address

    def _devices(self, serial: int, draws: tuple[int, ...], carrier: str) -> str:
        letters = _pick(PUPIL_DEVICES if carrier is PUPIL else ADULT_DEVICES, draws[0])
        if not letters:
            return ""
        app = STAFF_APP if carrier is STAFF else PARENT_APP
        wanted = [(letter, app) for letter in letters]
        if carrier is BOTH and draws[6] < STAFF_APP_BESIDE * _ONE:
            wanted.append((letters[0], STAFF_APP))
        prefix = _pick(PREFIXES, draws[5])
        return ",".join([self._device(serial, at, prefix, *device) for at, device in enumerate(wanted)])

    def _device(self, serial: int, at: int, prefix: str, letter: str, app: str) -> str:
        platform, token = ("ios", self._apns_token) if letter == "i" else ("android", self._fcm_token)
        text = token(serial, at)
        if prefix and at == 0 and (letter == "i" or prefix == DEAD_PREFIX):
            text = prefix + text[len(prefix) :]
        return f'{{"platform":"{platform}","app":"{app}","token":"{text}"}}'

    def _browser(self, serial: int) -> str:
        """A guardian's browser, for some; its name begins with a digit, or with the word for a dead one."""
        drawn = self._random(serial, b"w", _WEB_DRAWS.size + _WEB_NAME_BYTES)
        has_one, dead = _WEB_DRAWS.unpack_from(drawn)
        if has_one >= WEB_SHARE * _ONE:
            return ""
        prefix = DEAD_PREFIX if dead < DEAD_SHARE * _ONE else _DIGITS[drawn[-1] % 10]
        text = urlsafe_b64encode(drawn[_WEB_DRAWS.size :]).decode()
        return web_device(PARENT_APP, self._web_origin, prefix + text[len(prefix) :])

    def _apns_token(self, serial: int, at: int) -> str:
        """64 hex digits; the first is no letter, so that none of the simulators' words is hit by chance."""
        drawn = self._random(serial, b"a%d" % at, 32)
        return _DIGITS[drawn[0] % 10] + drawn.hex()[1:]

    def _fcm_token(self, serial: int, at: int) -> str:
        """An instance id, `:APA91b` and a long rest, as Google's look; the first character is a digit."""
        drawn = self._random(serial, b"f%d" % at, _FCM_RANDOM_BYTES)
        text = urlsafe_b64encode(drawn).decode()
        return _DIGITS[drawn[0] % 10] + text[1:22] + ":APA91b" + text[22:]

    def _random(self, serial: int, what: bytes, size: int) -> bytes:
        return shake_128(self._salt + what + serial.to_bytes(4, "little")).digest(size)
