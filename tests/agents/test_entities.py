"""What becomes of a measure: the mapping rules of the FIWARE agents, in NGSI-LD."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.clock import observed
from agents.errors import Empty, InvalidExpression, MeasureError, WrongShape
from agents.protocols import PROTOCOLS
from agents.provisioning.bodies import DeviceBody, GroupBody, checked
from agents.provisioning.specs import Group, Place, device_spec
from agents.registry import Registry
from agents.storage.base import Identity
from tests.agents.corpus import PROFILES, PSEUDONYMS, RECEIVED_AT
from tests.agents.payloads import JSON

AT = "2026-04-02T08:00:05.000Z"


def group_of(body: dict[str, Any]) -> Group:
    whole = {"apikey": "k", "resource": "/iot/json", "entity_type": "Room", **body}
    return Group(Identity("s", "/p", "k", "/iot/json"), checked(GroupBody, whole), ("iotagent-json",), Place())


def made(values: Any, group: dict[str, Any] | None = None, **device: Any) -> list[dict[str, Any]]:
    """The entities of a measure of device d1, whose own and whose group's provisioning are these."""
    body = checked(DeviceBody, {"device_id": "d1", **device})
    spec = device_spec(body, Identity("s", "/p", "k", "d1"), group_of(group or {}), "iotagent-json", Place())
    known = Registry(PROFILES, [], PSEUDONYMS).compiled(spec)
    entities = []
    for measure in PROTOCOLS["iotagent_json"]({}, json.dumps(values).encode(), RECEIVED_AT):
        seen = observed(measure.observed_at, known.timezone, RECEIVED_AT)
        entities += [json.loads(fragment.body) for fragment in known.mapping(measure, seen, {}, known)]
    return entities


def entity(values: Any, group: dict[str, Any] | None = None, **device: Any) -> dict[str, Any]:
    (only,) = made(values, group, **device)
    return only


def plain(found: dict[str, Any]) -> dict[str, Any]:
    """Values by attribute."""
    return {
        name: attribute.get("value", attribute.get("object"))
        for name, attribute in found.items()
        if name not in ("id", "type")
    }


T = {"object_id": "t", "name": "temperature", "type": "Number"}


def test_names_ids_and_types() -> None:
    found = entity({"t": "21.5", "x": 1, "id": 7, "type": "a"}, {"attributes": [T]})
    assert found["id"] == "urn:ngsi-ld:Room:d1"
    assert plain(found) == {"temperature": 21.5, "x": 1, "measure_id": 7, "measure_type": "a"}
    assert found["temperature"] == {"type": "Property", "value": 21.5, "observedAt": AT}


def test_the_device_wins_over_its_group() -> None:
    own = {"object_id": "t", "name": "heat", "type": "Number"}
    group = {
        "attributes": [T, {"object_id": "h", "name": "humidity"}],
        "static_attributes": [{"name": "s", "value": 1}],
    }
    found = entity(
        {"t": 1, "h": 2}, group, attributes=[own], entity_type="Hall", static_attributes=[{"name": "s", "value": 2}]
    )
    assert (found["type"], plain(found)) == ("Hall", {"s": 2, "heat": 1, "humidity": 2})


@pytest.mark.parametrize(
    ("name", "id_"),
    [
        ("Room1", "urn:ngsi-ld:Room:Room1"),
        ("urn:ngsi-ld:Hall:1", "urn:ngsi-ld:Hall:1"),
        ("https://example.org/1", "https://example.org/1"),
        ("a b/é", "urn:ngsi-ld:Room:a%20b%2F%C3%A9"),
    ],
)
def test_names_of_entities_become_uris(name: str, id_: str) -> None:
    assert entity({"t": 1}, entity_name=name)["id"] == id_


@pytest.mark.parametrize(
    ("type_", "value", "instance"),
    [
        ("Text", "a", {"type": "Property", "value": "a"}),
        ("Number", "12", {"type": "Property", "value": 12}),
        ("Integer", "12.7", {"type": "Property", "value": 12}),
        ("Float", 1, {"type": "Property", "value": 1}),
        ("Boolean", "false", {"type": "Property", "value": False}),
        ("Array", "[1]", {"type": "Property", "value": [1]}),
        ("DateTime", "2026-01-01T01:00:00+01:00", {"type": "Property", "value": "2026-01-01T00:00:00.000Z"}),
        ("Date", "2026-01-01T01:00:00+02:00", {"type": "Property", "value": "2025-12-31"}),
        ("Time", "10:30", {"type": "Property", "value": "10:30:00"}),
        ("Relationship", "urn:ngsi-ld:A:1", {"type": "Relationship", "object": "urn:ngsi-ld:A:1"}),
        ("LanguageProperty", {"fr": "a"}, {"type": "LanguageProperty", "languageMap": {"fr": "a"}}),
        ("VocabProperty", "v", {"type": "VocabProperty", "vocab": "v"}),
        ("JsonProperty", {"a": 1}, {"type": "JsonProperty", "json": {"a": 1}}),
        ("geo:point", "-7.6, 33.5", {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [-7.6, 33.5]}}),
        ("geo:json", [-7.6, 33.5], {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [-7.6, 33.5]}}),
        (
            "GeoProperty",
            {"type": "Point", "coordinates": [1, 2]},
            {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [1, 2]}},
        ),
        (
            "LineString",
            "1,2,3,4",
            {"type": "GeoProperty", "value": {"type": "LineString", "coordinates": [[1, 2], [3, 4]]}},
        ),
    ],
)
def test_types_of_attributes(type_: str, value: Any, instance: dict[str, Any]) -> None:
    found = entity({"a": value}, attributes=[{"object_id": "a", "name": "a", "type": type_}])
    assert found["a"] == {**instance, "observedAt": AT}


def test_a_number_that_is_none_is_not_sent() -> None:
    assert plain(entity({"t": "warm", "x": 1}, {"attributes": [T]})) == {"x": 1}


def test_a_place_that_is_none_is_refused() -> None:
    with pytest.raises(WrongShape, match="attribute p is no place"):
        entity({"p": "here"}, attributes=[{"name": "p", "type": "geo:point"}])


def test_metadata() -> None:
    metadata = {
        "unitCode": {"type": "Text", "value": "CEL"},
        "accuracy": {"type": "Number", "value": 0.1},
        "datasetId": {"type": "Text", "value": "urn:ngsi-ld:Dataset:a"},
        "double": {"type": "Number", "expression": "temperature*2"},
    }
    found = entity({"t": 4}, attributes=[{**T, "metadata": metadata}])
    assert found["temperature"] == {
        "type": "Property",
        "value": 4,
        "unitCode": "CEL",
        "accuracy": {"type": "Property", "value": 0.1},
        "datasetId": "urn:ngsi-ld:Dataset:a",
        "double": {"type": "Property", "value": 8},
        "observedAt": AT,
    }


def test_instances_of_several_data_sets() -> None:
    def of(field: str) -> dict[str, Any]:
        return {"object_id": field, "name": "t", "metadata": {"datasetId": {"value": f"urn:ngsi-ld:D:{field}"}}}

    found = entity({"in": 1, "out": 2}, attributes=[of("in"), of("out")])
    assert [(item["value"], item["datasetId"]) for item in found["t"]] == [
        (1, "urn:ngsi-ld:D:in"),
        (2, "urn:ngsi-ld:D:out"),
    ]


def test_expressions_see_measures_statics_and_earlier_results() -> None:
    attributes = [
        {"object_id": "t", "name": "kelvin", "type": "Number", "expression": "t + 273.15"},
        {
            "object_id": "u",
            "name": "text",
            "type": "Text",
            "expression": "kelvin + ' in ' + floor + ' of ' + id + service",
        },
        {"object_id": "v", "name": "missing", "expression": "nothing * 2"},
    ]
    found = entity({"t": 1}, {"static_attributes": [{"name": "floor", "value": 3}]}, attributes=attributes)
    assert plain(found) == {"floor": 3, "kelvin": 274.15, "text": "274.15 in 3 of d1s"}


def test_skip_value() -> None:
    attributes = [{"object_id": "a", "name": "a", "expression": "b ? b : 'none'", "skipValue": "none"}]
    assert plain(entity({"c": 1}, attributes=attributes)) == {"c": 1}
    assert plain(entity({"c": 1, "b": 2}, attributes=attributes)) == {"a": 2, "c": 1, "b": 2}


def test_expression_that_is_none_is_refused_beforehand() -> None:
    with pytest.raises(InvalidExpression):
        entity({"t": 1}, attributes=[{"name": "a", "expression": "1 +"}])


EXPLICIT = {
    "attributes": [T, {"object_id": "h", "name": "humidity"}],
    "static_attributes": [{"name": "floor", "value": 3}, {"name": "wing", "value": "A"}],
}


@pytest.mark.parametrize(
    ("explicit", "names"),
    [
        (False, {"floor", "wing", "temperature", "humidity", "x"}),
        (True, {"floor", "wing", "temperature", "humidity"}),
        ("['temperature','wing']", {"temperature", "wing"}),
        ("['wing',{object_id:'h'}]", {"wing", "humidity"}),
        (["wing", {"object_id": "h"}], {"wing", "humidity"}),
        ("x > 1 ? ['temperature'] : true", {"temperature"}),
        ("x > 9 ? ['temperature'] : true", {"floor", "wing", "temperature", "humidity"}),
        ("x == 9", {"floor", "wing", "temperature", "humidity", "x"}),
    ],
)
def test_explicit_attributes(explicit: Any, names: set[str]) -> None:
    found = entity({"t": 1, "h": 2, "x": 3}, {**EXPLICIT, "explicitAttrs": explicit})
    assert plain(found).keys() == names


def test_nothing_but_statics_is_empty() -> None:
    for explicit in (True, "[]"):
        with pytest.raises(Empty):
            entity({"x": 1}, {**EXPLICIT, "explicitAttrs": explicit})


def test_several_entities() -> None:
    attributes = [
        T,
        {"object_id": "c1", "name": "vol", "entity_name": "urn:ngsi-ld:WaterMeter:1", "entity_type": "WaterMeter"},
        {"object_id": "c2", "name": "vol", "entity_name": "'Meter' + id", "entity_type": "WaterMeter"},
        {"object_id": "c3", "name": "vol", "entity_name": "Meter3", "entity_type": "WaterMeter"},
    ]
    found = made({"t": 1, "c1": 10, "c2": 20, "c3": 30}, attributes=attributes)
    assert [(item["id"], plain(item)) for item in found] == [
        ("urn:ngsi-ld:Room:d1", {"temperature": 1}),
        ("urn:ngsi-ld:WaterMeter:1", {"vol": 10}),
        ("urn:ngsi-ld:WaterMeter:Meterd1", {"vol": 20}),
        ("urn:ngsi-ld:WaterMeter:Meter3", {"vol": 30}),
    ]
    assert all(item["vol"]["observedAt"] == AT for item in found[1:])


def test_name_of_the_entity_by_an_expression() -> None:
    group = {"entityNameExp": "id + '__' + sn"}
    assert entity({"sn": "ABC"}, group)["id"] == "urn:ngsi-ld:Room:d1__ABC"
    assert entity({"sn": "ABC"}, {"entityNameExp": "serial"})["id"] == "urn:ngsi-ld:Room:d1"
    assert entity({"a": 1}, {"defaultEntityNameConjunction": "-"})["id"] == "urn:ngsi-ld:Room-d1"


def test_link() -> None:
    link = {"attributes": ["temperature"], "name": "providedBy", "type": "Building"}
    asset = {"name": "controlledAsset", "type": "Relationship", "value": "urn:ngsi-ld:Building:1", "link": link}
    device, building = made({"t": 27.6}, attributes=[T], static_attributes=[asset])
    assert "providedBy" not in device["temperature"]
    assert building == {
        "id": "urn:ngsi-ld:Building:1",
        "type": "Building",
        "temperature": {
            "type": "Property",
            "value": 27.6,
            "observedAt": AT,
            "providedBy": {"type": "Relationship", "object": "urn:ngsi-ld:Room:d1"},
        },
    }


def test_measures_in_order_of_time() -> None:
    found = made([{"v": minute, "TimeInstant": f"2026-04-02T07:{minute:02}:00Z"} for minute in (15, 5, 10)])
    assert [item["v"]["value"] for item in found] == [5, 10, 15]
    assert found[0]["v"]["observedAt"] == "2026-04-02T07:05:00.000Z"


def test_time_by_an_attribute() -> None:
    attributes = [T, {"object_id": "ts", "name": "TimeInstant", "type": "DateTime"}]
    found = entity({"t": 1, "ts": "2026-04-02T09:00:00"}, attributes=attributes, timezone="Africa/Casablanca")
    assert found["temperature"]["observedAt"] == "2026-04-02T08:00:00.000Z"
    assert "TimeInstant" not in found
    assert entity({"t": 1, "ts": "noon"}, attributes=attributes)["temperature"]["observedAt"] == AT


def test_only_the_word_of_the_device_when_timestamp_is_off() -> None:
    group = {"timestamp": False}
    assert "observedAt" not in entity({"t": 1}, group)["t"]
    stated = {"t": 1, "TimeInstant": "2026-04-02T08:00:00Z"}
    assert entity(stated, group)["t"]["observedAt"] == "2026-04-02T08:00:00.000Z"
    assert "observedAt" in entity({"t": 1}, group, timestamp=True)["t"]


def test_payload_of_entities() -> None:
    payload = {
        "id": "urn:ngsi-ld:X:1",
        "type": "X",
        "@context": "https://example.org/c.jsonld",
        "t": {"type": "Property", "value": 20, "unitCode": "CEL", "observedAt": "2026-04-02T07:00:00Z"},
        "owner": {"type": "Relationship", "object": "urn:ngsi-ld:Person:1"},
        "twice": [{"type": "Property", "value": 1}, {"type": "Property", "value": 2, "datasetId": "urn:ngsi-ld:D:1"}],
    }
    found = entity(payload, {"payloadType": "NGSILD", "attributes": [T]})
    assert found["id"] == "urn:ngsi-ld:Room:d1"
    assert found["temperature"] == {
        "type": "Property", "value": 20, "observedAt": "2026-04-02T07:00:00Z", "unitCode": "CEL"
    }  # fmt: skip
    assert found["owner"] == {"type": "Relationship", "object": "urn:ngsi-ld:Person:1", "observedAt": AT}
    assert [item["value"] for item in found["twice"]] == [1, 2]
    assert (found["measure_id"]["value"], found["measure_type"]["value"]) == ("urn:ngsi-ld:X:1", "X")


def test_payload_of_several_entities_of_ngsi_v2() -> None:
    item = {"p": {"type": "geo:point", "value": "1,2", "metadata": {"accuracy": {"type": "Number", "value": 5}}}}
    found = made(
        {"actionType": "append", "entities": [item, {"n": {"type": "Number", "value": "3"}}]}, {"payloadType": "ngsiv2"}
    )
    assert found[0]["p"]["value"] == {"type": "Point", "coordinates": [1, 2]}
    assert found[0]["p"]["accuracy"]["value"] == 5
    assert found[1]["n"]["value"] == 3


def test_looking_back() -> None:
    attributes = [{"object_id": "n", "name": "delta", "expression": "n - oldCtxt.n"}]
    both = made([{"n": 1, "x": 1}, {"n": 5, "x": 1}], attributes=attributes)
    assert "delta" not in both[0]
    assert both[1]["delta"]["value"] == 4


WORDS = st.sampled_from(["t", "h", "TimeInstant", "id", "type", "@context", "entities", "actionType", "p"]) | st.text(
    max_size=4
)
FULL = {
    "attributes": [
        {**T, "expression": "t * 2", "skipValue": 4},
        {"object_id": "h", "name": "h", "entity_name": "p"},
        {"object_id": "p", "name": "p", "type": "geo:point"},
        {"object_id": "ts", "name": "TimeInstant", "expression": "h"},
    ],
    "static_attributes": [{"name": "s", "value": [1]}],
    "entityNameExp": "h",
}


@given(
    st.dictionaries(WORDS, JSON, max_size=5) | st.lists(st.dictionaries(WORDS, JSON, max_size=3), max_size=3),
    st.sampled_from(["iotagent", "ngsild", "ngsiv2"]),
    st.sampled_from([True, False, "['t']", "h"]),
)
def test_any_measure_gives_entities_or_a_measure_error(values: Any, payload_type: str, explicit: Any) -> None:
    try:
        found = made(values, {**FULL, "payloadType": payload_type, "explicitAttrs": explicit})
    except MeasureError:
        return
    assert all(item["id"].startswith(("urn:", "http")) for item in found)
