"""Names of days and months in the languages that people read; the standard library knows only the system's."""

from __future__ import annotations

from engine.records.words import Language

_DANISH_MONTHS = "januar februar marts april maj juni juli august september oktober november december"
_ENGLISH_MONTHS = "January February March April May June July August September October November December"

WEEKDAYS = {
    Language.DA: ("mandag", "tirsdag", "onsdag", "torsdag", "fredag", "lørdag", "søndag"),
    Language.EN: ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
}
MONTHS = {
    Language.DA: tuple(_DANISH_MONTHS.split(" ")),
    Language.EN: tuple(_ENGLISH_MONTHS.split(" ")),
}
