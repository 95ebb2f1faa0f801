"""ONVIF events over MQTT.

Source: ONVIF Core Specification, "MQTT": topic `<prefix>/onvif-ej/<event topic>/&<source>`, body
`{"UtcTime": …, "Source": {…}, "Data": {name: value}}`. Numbers may come quoted, and some vendors keep the XML form
`{"SimpleItem": [{"Name": …, "Value": …}]}`; both give the same measure.
"""

from datetime import UTC, datetime

from agents.errors import WrongShape
from agents.measure import Measure, TopicParts
from agents.protocols.base import as_object, field, iso_instant, number, read_object, text

_NUMBERS = frozenset({"Count"})
"""Items that are numbers (ONVIF Analytics Service, "Line crossing counting rule", "Occupancy Counting rule")."""


def decode(topic: TopicParts, payload: bytes, received_at: datetime) -> list[Measure]:
    """Return one measure with the items of `Data`, and those of `Source` as `Source.<name>`; counts are numbers."""
    event = read_object(payload)
    observed_at = iso_instant(field(event, "UtcTime"), "UtcTime")
    if observed_at.tzinfo is None:  # the field is UTC by its definition
        observed_at = observed_at.replace(tzinfo=UTC)
    values = {
        name: number(value, f"field {name}") if name in _NUMBERS else value
        for name, value in _items(as_object(field(event, "Data"), "field Data")).items()
    }
    source = event.get("Source")
    if isinstance(source, dict):
        values |= {f"Source.{name}": value for name, value in _items(source).items()}
    return [Measure(values, observed_at)]


def _items(section: dict[str, object]) -> dict[str, object]:
    simple = section.get("SimpleItem")
    if simple is None:
        return section
    items = simple if isinstance(simple, list) else [simple]
    pairs = [as_object(item, "an item of SimpleItem") for item in items]
    values = {text(pair, "Name"): field(pair, "Value") for pair in pairs}
    if len(values) < len(pairs):
        raise WrongShape("SimpleItem names one item twice")
    return values
