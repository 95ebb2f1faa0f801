"""The @context file and docs/pilots/campus.md say what the program does."""

import re
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from ngsi.core_context import TERMS as CORE_TERMS
from pilots.campus import model
from pilots.campus.model import SHOWN_TYPES, alert_entity, read_alert, read_zone, zone_entity
from pilots.campus.site import CONTEXT_URL, site_zones
from pilots.campus.state import CampusState

ROOT: Final = Path(__file__).parents[2]
CONTEXTS: Final = ROOT / "pilots" / "campus" / "contexts"
PAGE: Final = (ROOT / "docs" / "pilots" / "campus.md").read_text(encoding="utf-8")
EXAMPLES: Final[list[dict[str, Any]]] = [
    orjson.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, flags=re.DOTALL)
]


def terms() -> dict[str, object]:
    index = orjson.loads((CONTEXTS / "index.json").read_bytes())
    found = orjson.loads((CONTEXTS / index[CONTEXT_URL]).read_bytes())["@context"]
    assert isinstance(found, dict)
    return found


def test_the_context_is_a_plain_map_that_leaves_core_terms_alone() -> None:
    assert all(isinstance(iri, str) and iri.startswith("https://") for iri in terms().values())
    assert not set(terms()) & set(CORE_TERMS)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["type"])
def test_examples_use_terms_that_are_defined_and_described(example: dict[str, Any]) -> None:
    for term in {example["type"], *example} - {"id", "type"}:
        assert term in terms() or term in CORE_TERMS
        assert f"`{term}`" in PAGE
    assert CampusState().take(example)


def test_every_term_and_every_type_is_described() -> None:
    assert [term for term in terms() if f"`{term}`" not in PAGE] == []
    assert {example["type"] for example in EXAMPLES} | {"ThermalCamera", "Device"} == set(SHOWN_TYPES)


def test_zones_and_alerts_come_back_as_they_were_written() -> None:
    for zone in site_zones():
        assert read_zone(zone_entity(zone)) == zone
    for example in EXAMPLES:
        if example["type"] == "Alert":
            alert = read_alert(example)
            assert alert is not None
            assert alert_entity(alert) == example
            assert alert.id == example["id"]


def test_an_alert_of_the_agent_is_over_since_it_said_so() -> None:
    [example] = [example for example in EXAMPLES if example["type"] == "Alert"]
    at = "2026-03-02T11:50:00.000Z"
    alert = read_alert({**example, "status": {"type": "Property", "value": "closed", "observedAt": at}})
    assert alert is not None
    assert alert.closed_at == model.moment(at)


def test_the_example_of_a_badge_event_is_understood() -> None:
    [example] = [example for example in EXAMPLES if example["type"] == "AccessEvent"]
    event = model.read_access_event(example)
    assert event is not None
    assert (event.granted, event.direction, event.zone) == (True, "in", "urn:ngsi-ld:Zone:hall")
