"""Entities as earlier versions of the standard knew them (clause 4.3.6.8)."""

import pytest

from ngsi.conformance import Version, conformed, preferred_version
from ngsi.context import CORE
from ngsi.entity import Entity
from ngsi.representation import render

PREFERENCES = [
    ("ngsi-ld=1.5", (1, 5)),
    ('NGSI-LD="1.3"', (1, 3)),
    ("body=json, ngsi-ld=1.8;q=0.1", (1, 8)),
    ("ngsi-ld=1.6.1", (1, 6)),
    ("body=json", None),
    ("ngsi-ld=new", None),
    ("", None),
]

ROOM = Entity(
    "urn:x:1",
    ["Room", "Lab"],
    "2026-03-01T08:00:00.000Z",
    "2026-03-01T08:00:00.000Z",
    {
        "usage": [{"type": "VocabProperty", "vocab": "https://uri.etsi.org/ngsi-ld/default-context/Teaching"}],
        "config": [{"type": "JsonProperty", "json": {"a": 1}}],
        "list": [{"type": "ListProperty", "valueList": [1, 2]}],
        "doors": [{"type": "ListRelationship", "objectList": ["urn:x:2"], "objectType": ["Door"]}],
        "label": [{"type": "LanguageProperty", "languageMap": {"en": "x"}}],
        "co2": [
            {"type": "Property", "value": 1, "unitCode": "59", "expiresAt": "2099-01-01T00:00:00Z"},
            {"type": "Property", "value": 2, "datasetId": "urn:x:b"},
        ],
    },
    ["/A"],
)


@pytest.mark.parametrize(("prefer", "version"), PREFERENCES)
@pytest.mark.clause("6.3.20")
def test_the_version_that_is_preferred(prefer: str, version: Version | None) -> None:
    assert preferred_version(prefer) == version


@pytest.mark.clause("4.3.6.8")
def test_each_version_knows_less() -> None:
    def shown(version: Version) -> dict[str, object]:
        return render(conformed(ROOM, version, CORE), CORE, sysattrs=True)

    assert conformed(ROOM, (1, 9), CORE) is ROOM
    at_1_8 = shown((1, 8))
    assert at_1_8["usage"] == {"type": "VocabProperty", "vocab": "Teaching"}
    assert "expiresAt" not in at_1_8["co2"][0]  # type: ignore[index]  # an array of instances
    at_1_5 = shown((1, 5))
    assert at_1_5["usage"] == {"type": "Property", "value": "Teaching"}
    assert at_1_5["config"] == {"type": "Property", "value": {"a": 1}}
    assert at_1_5["list"] == {"type": "Property", "value": [1, 2]}
    assert at_1_5["doors"] == {"type": "Relationship", "object": ["urn:x:2"]}
    assert at_1_5["label"] == {"type": "LanguageProperty", "languageMap": {"en": "x"}}
    at_1_3 = shown((1, 3))
    assert at_1_3["label"] == {"type": "Property", "value": {"en": "x"}}
    assert "scope" not in at_1_3
    at_1_2 = shown((1, 2))
    assert at_1_2["type"] == "Room"
    assert at_1_2["co2"] == {"type": "Property", "value": 1}
