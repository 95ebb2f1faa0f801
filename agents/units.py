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
    ("PAL", "A97"): (0.01, 0.0),
}


def convert(value: float, source: str, target: str) -> float:
    """Return `value` in the target unit, rounded to the 6th decimal so that 310.6 K are 37.45 °C."""
    factor, offset = CONVERSIONS[source, target]
    return round(value * factor + offset, 6)
