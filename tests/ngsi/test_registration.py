"""What is wrong with a context source registration is told, though none is kept yet."""

from typing import Any

import pytest

from ngsi.context import CORE
from ngsi.errors import BadRequestData
from ngsi.registration import require_registration

NOW = "2026-03-02T12:00:00.000Z"
RIGHT: dict[str, Any] = {
    "type": "ContextSourceRegistration",
    "id": "urn:ngsi-ld:ContextSourceRegistration:1",
    "information": [{"entities": [{"type": "Room", "id": "urn:x:1"}], "propertyNames": ["temperature"]}],
    "endpoint": "https://source.example",
}


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"mode": "exclusive", "expiresAt": "2100-01-01T00:00:00Z"},
        {"mode": "auxiliary"},
        {"mode": "auxiliary", "operations": ["retrieveOps"]},
        {"information": [{"entities": [{"idPattern": "^urn:x:"}]}, {"relationshipNames": ["partOf"]}]},
        {"observationInterval": {"startAt": "2026-01-01T00:00:00Z"}, "datasetId": ["@none", "urn:x:d"]},
        {"location": {"type": "Point", "coordinates": [1, 2]}, "management": {"timeout": 500}},
        {"contextSourceInfo": [{"key": "jsonldContext", "value": "https://x.example/c.jsonld"}], "colour": "red"},
    ],
)
@pytest.mark.clause("5.9.2")
def test_a_right_one_passes(members: dict[str, Any]) -> None:
    require_registration(RIGHT | members, CORE, NOW)


@pytest.mark.parametrize(
    "members",
    [
        {"type": "Registration"},
        {"id": "one"},
        {"information": []},
        {"information": [{}]},
        {"information": [{"entities": []}]},
        {"information": [{"entities": [{}]}]},
        {"information": [{"entities": [{"type": "Room", "id": "one"}]}]},
        {"information": [{"entities": [{"type": "Room", "idPattern": "("}]}]},
        {"information": [{"propertyNames": []}]},
        {"information": [{"propertyNames": ["a b"]}]},
        {"endpoint": "nowhere"},
        {"mode": "sometimes"},
        {"mode": "exclusive", "information": [{"entities": [{"type": "Room"}], "propertyNames": ["a"]}]},
        {"mode": "exclusive", "information": [{"entities": [{"type": "Room", "id": "urn:x:1"}]}]},
        {"mode": "auxiliary", "operations": ["updateOps"]},
        {"operations": []},
        {"expiresAt": "2020-01-01T00:00:00Z"},
        {"expiresAt": "2026-13-45T00:00:00Z"},
        {"location": {"type": "Sphere"}},
        {"observationInterval": {"endAt": "2026-01-01T00:00:00Z"}},
        {"observationInterval": {"startAt": "2026-01-02T00:00:00Z", "endAt": "2026-01-01T00:00:00Z"}},
        {"management": {"timeout": 0}},
        {"management": {"localOnly": "yes"}},
        {"contextSourceInfo": [{"key": "a"}]},
        {"datasetId": ["none"]},
        {"registrationName": ""},
    ],
)
@pytest.mark.clause("5.9.2")
def test_a_wrong_one_is_refused(members: dict[str, Any]) -> None:
    with pytest.raises(BadRequestData):
        require_registration(RIGHT | members, CORE, NOW)


@pytest.mark.parametrize("missing", ["type", "information", "endpoint"])
def test_an_incomplete_one_is_refused(missing: str) -> None:
    with pytest.raises(BadRequestData, match=missing):
        require_registration({name: value for name, value in RIGHT.items() if name != missing}, CORE, NOW)
