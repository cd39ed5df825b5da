"""The 98 Danish municipalities with their official codes and about how many thousand people live there (2023)."""

from __future__ import annotations

from typing import NamedTuple


class Municipality(NamedTuple):
    code: str
    name: str
    thousands: float


_TABLE = """\
0101 København 653
0147 Frederiksberg 105
0151 Ballerup 51
0153 Brøndby 39
0155 Dragør 14.6
0157 Gentofte 74.5
0159 Gladsaxe 69.5
0161 Glostrup 23.7
0163 Herlev 30
0165 Albertslund 27.8
0167 Hvidovre 53.5
0169 Høje-Taastrup 56
0173 Lyngby-Taarbæk 58.6
0175 Rødovre 43.5
0183 Ishøj 23.5
0185 Tårnby 42.9
0187 Vallensbæk 17
0190 Furesø 42
0201 Allerød 26
0210 Fredensborg 41.5
0217 Helsingør 64
0219 Hillerød 54
0223 Hørsholm 25
0230 Rudersdal 57.5
0240 Egedal 45
0250 Frederikssund 46.5
0253 Greve 51.5
0259 Køge 62.5
0260 Halsnæs 31.6
0265 Roskilde 90.5
0269 Solrød 24.5
0270 Gribskov 41.8
0306 Odsherred 33.3
0316 Holbæk 73.8
0320 Faxe 37.3
0326 Kalundborg 48.5
0329 Ringsted 35.7
0330 Slagelse 79.8
0336 Stevns 23.5
0340 Sorø 30.3
0350 Lejre 29
0360 Lolland 40
0370 Næstved 84
0376 Guldborgsund 60
0390 Vordingborg 45.3
0400 Bornholm 39.5
0410 Middelfart 39.6
0420 Assens 40.8
0430 Faaborg-Midtfyn 52
0440 Kerteminde 24
0450 Nyborg 32.2
0461 Odense 208
0479 Svendborg 59.5
0480 Nordfyns 29.7
0482 Langeland 12.3
0492 Ærø 6
0510 Haderslev 55.5
0530 Billund 27
0540 Sønderborg 74
0550 Tønder 36.8
0561 Esbjerg 115.5
0563 Fanø 3.4
0573 Varde 49.6
0575 Vejen 42.8
0580 Aabenraa 59
0607 Fredericia 51.9
0615 Horsens 96
0621 Kolding 94.5
0630 Vejle 121
0657 Herning 89.6
0661 Holstebro 58.7
0665 Lemvig 19.2
0671 Struer 20.7
0706 Syddjurs 44
0707 Norddjurs 37
0710 Favrskov 49
0727 Odder 23.3
0730 Randers 99.5
0740 Silkeborg 98.5
0741 Samsø 3.7
0746 Skanderborg 64.7
0751 Aarhus 361
0756 Ikast-Brande 42.6
0760 Ringkøbing-Skjern 56
0766 Hedensted 47.6
0773 Morsø 20
0779 Skive 44.8
0787 Thisted 43
0791 Viborg 97.4
0810 Brønderslev 36.6
0813 Frederikshavn 58.5
0820 Vesthimmerlands 36
0825 Læsø 1.8
0840 Rebild 31
0846 Mariagerfjord 41.6
0849 Jammerbugt 38.3
0851 Aalborg 222.6
0860 Hjørring 63.4
"""

MUNICIPALITIES = tuple(
    Municipality(code, name, float(thousands)) for code, name, thousands in map(str.split, _TABLE.splitlines())
)

_PEOPLE_MIN = 25  # a municipality with fewer people on the platform is left out of a small population


def shares(recipients: int) -> list[tuple[Municipality, int]]:
    """Divide people among the municipalities by size; the numbers add up exactly.

    In a small population the smallest municipalities get nobody and are left out, so that what remains has whole
    classes; at least the largest one stays.
    """
    total = sum(one.thousands for one in MUNICIPALITIES)
    largest = max(MUNICIPALITIES, key=lambda one: one.thousands)
    kept = [one for one in MUNICIPALITIES if one.thousands / total * recipients >= _PEOPLE_MIN] or [largest]
    return list(zip(kept, divide(recipients, [one.thousands for one in kept]), strict=True))


def divide(whole: int, weights: list[float]) -> list[int]:
    """Divide a whole number by weights, by largest remainder: the parts add up to it exactly."""
    total = sum(weights)
    if total <= 0:
        return [0] * len(weights)
    exact = [whole * weight / total for weight in weights]
    parts = [int(part) for part in exact]
    by_remainder = sorted(range(len(weights)), key=lambda at: (parts[at] - exact[at], at))
    for at in by_remainder[: whole - sum(parts)]:
        parts[at] += 1
    return parts
