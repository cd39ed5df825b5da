"""The codes of the 98 Danish municipalities: a closed list, so that a slip of the pen is met at the door.

Source: the authority codes of the civil register (CPR-kontoret, "Kommunekoder"), the same as Statistics Denmark's
classification "Regioner, landsdele og kommuner", unchanged since the municipal reform of 2007. Christiansø (0411) is no
municipality.
"""

from __future__ import annotations

from itertools import groupby

NATIONAL = "dk"
"""The tenant of national senders."""

_TABLE = """
0101 0147 0151 0153 0155 0157 0159 0161 0163 0165 0167 0169 0173 0175 0183 0185 0187 0190
0201 0210 0217 0219 0223 0230 0240 0250 0253 0259 0260 0265 0269 0270
0306 0316 0320 0326 0329 0330 0336 0340 0350 0360 0370 0376 0390
0400 0410 0420 0430 0440 0450 0461 0479 0480 0482 0492
0510 0530 0540 0550 0561 0563 0573 0575 0580
0607 0615 0621 0630 0657 0661 0665 0671
0706 0707 0710 0727 0730 0740 0741 0746 0751 0756 0760 0766 0773 0779 0787 0791
0810 0813 0820 0825 0840 0846 0849 0851 0860
"""
CODES = tuple(_TABLE.split())


CODE_SENTENCE = "the code of one of the 98 Danish municipalities, as 0101 for København"


def code_pattern() -> str:
    """A pattern of the codes, grouped by their first two digits: 1.0 to 1.2 us a search, flat 0.5 to 1.6."""
    grouped = groupby(CODES, lambda code: code[:2])
    return "|".join(f"{first}(?:{'|'.join(code[2:] for code in codes)})" for first, codes in grouped)
