"""Generated attributes of every kind and entities made of them, normalized, as clients send them."""

from typing import Any

from hypothesis import strategies as st

from ngsi.vocabulary import INNER_RESERVED_NAMES, NULL, VALUE_MEMBERS

names = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,6}", fullmatch=True).filter(
    lambda name: (
        name not in INNER_RESERVED_NAMES | {"scope", "location", "observationSpace", "operationSpace", "ngsildproof"}
    )
)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8).filter(
    lambda text: text != NULL
)
uris = st.sampled_from(["urn:ngsi-ld:Zone:1", "urn:ngsi-ld:Zone:ü", "https://example.org/a.b$c%20d", "urn:x:y"])
numbers = st.integers(-(2**63) + 1, 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
scalars = texts | numbers | st.booleans()
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=6
)
objects = st.dictionaries(texts, json_values, max_size=3)
positions = st.tuples(st.integers(-180, 180), st.integers(-90, 90)).map(list)
geometries = st.builds(lambda position: {"type": "Point", "coordinates": position}, positions) | st.builds(
    lambda line: {"type": "LineString", "coordinates": line}, st.lists(positions, min_size=2, max_size=3)
)
times = st.sampled_from(["2026-03-01T08:30:00Z", "2026-03-01T08:30:00.5Z", "2026-03-01T08:30:00.000Z"])

_values: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "Property": st.fixed_dictionaries({"value": json_values}, optional={"unitCode": st.just("CEL")}),
    "GeoProperty": st.fixed_dictionaries({"value": geometries}),
    "Relationship": st.fixed_dictionaries({"object": uris | st.lists(uris, min_size=1, max_size=2)}),
    "LanguageProperty": st.fixed_dictionaries(
        {"languageMap": st.dictionaries(st.sampled_from(["en", "fr-MA", "ar"]), texts, min_size=1)}
    ),
    "VocabProperty": st.fixed_dictionaries({"vocab": names | st.lists(names, min_size=1, max_size=2)}),
    "JsonProperty": st.fixed_dictionaries({"json": objects | st.lists(objects, max_size=2)}),
    "ListProperty": st.fixed_dictionaries({"valueList": st.lists(json_values, min_size=1, max_size=3)}),
    "ListRelationship": st.fixed_dictionaries(
        {"objectList": st.lists(st.builds(lambda uri: {"object": uri}, uris), max_size=3)}
    ),
}


@st.composite
def instances(draw: st.DrawFn, depth: int = 1) -> dict[str, Any]:
    """One instance without datasetId, with sub-attributes up to `depth` levels."""
    kind = draw(st.sampled_from(sorted(_values)))
    instance = {"type": kind, **draw(_values[kind])}
    if draw(st.booleans()):
        instance["observedAt"] = draw(times)
    if depth and draw(st.integers(0, 3)) == 0:
        instance |= draw(st.dictionaries(names, instances(depth - 1), max_size=2))
    return instance


@st.composite
def attributes(draw: st.DrawFn) -> Any:
    """An attribute: mostly one instance, sometimes two with different datasetIds."""
    first = draw(instances())
    if draw(st.integers(0, 4)):
        return first
    return [first, {**draw(instances()), "datasetId": "urn:ngsi-ld:Dataset:2"}]


@st.composite
def fragments(draw: st.DrawFn) -> dict[str, Any]:
    """Attributes by name, which may be that of a value member: those are reserved inside of attributes only."""
    return draw(st.dictionaries(names | st.sampled_from(sorted(VALUE_MEMBERS)), attributes(), max_size=4))


@st.composite
def entities(draw: st.DrawFn) -> dict[str, Any]:
    """A whole entity."""
    return {"id": "urn:ngsi-ld:Thing:1", "type": draw(names), **draw(fragments())}
