"""Units by their UN/CEFACT Recommendation 20 codes, and the conversions between them.

A row is (from, to) -> (factor, offset): value_to = value_from * factor + offset. A new unit is one row.
"""

CONVERSIONS: dict[tuple[str, str], tuple[float, float]] = {
    ("KEL", "CEL"): (1.0, -273.15),
    ("FAH", "CEL"): (5 / 9, -160 / 9),
    ("C26", "SEC"): (0.001, 0.0),
    ("MIN", "SEC"): (60.0, 0.0),
    ("HUR", "SEC"): (3600.0, 0.0),
    ("MMT", "MTR"): (0.001, 0.0),
    ("CMT", "MTR"): (0.01, 0.0),
    ("KMT", "MTR"): (1000.0, 0.0),
    ("FOT", "MTR"): (0.3048, 0.0),
    ("INH", "MTR"): (0.0254, 0.0),
    ("PAL", "A97"): (0.01, 0.0),
    ("A97", "PAL"): (100.0, 0.0),
    ("KPA", "A97"): (10.0, 0.0),
    ("BAR", "A97"): (1000.0, 0.0),
    ("F79", "A97"): (33.86389, 0.0),
    ("HN", "A97"): (1.333224, 0.0),
    ("MTS", "KMH"): (3.6, 0.0),
    ("KMH", "MTS"): (1 / 3.6, 0.0),
    ("HM", "KMH"): (1.609344, 0.0),
    ("P1", "C62"): (0.01, 0.0),
    ("C62", "P1"): (100.0, 0.0),
    ("WHR", "KWH"): (0.001, 0.0),
    ("JOU", "KWH"): (1 / 3_600_000, 0.0),
    ("WTT", "KWT"): (0.001, 0.0),
    ("2Z", "VLT"): (0.001, 0.0),
    ("4K", "AMP"): (0.001, 0.0),
    ("GRM", "KGM"): (0.001, 0.0),
    ("LTR", "MTQ"): (0.001, 0.0),
}


def convert(value: float, source: str, target: str) -> float:
    """Return `value` in the target unit, rounded to the 6th decimal so that 310.6 K are 37.45 °C."""
    factor, offset = CONVERSIONS[source, target]
    return round(value * factor + offset, 6)
