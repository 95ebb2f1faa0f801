"""What a query holds for, by the table of operators and kinds (clause 4.9)."""

from typing import Any

import pytest

from ngsi import evaluate, query
from ngsi.context import CORE
from ngsi.entity import Entity
from ngsi.vocabulary import VALUE_MEMBER

pytestmark = pytest.mark.clause("4.9")

AT = "2026-03-01T08:00:00.000Z"


def instance(kind: str, value: Any, **members: Any) -> dict[str, Any]:
    return {"type": kind, VALUE_MEMBER[kind]: value, "createdAt": AT, "modifiedAt": AT} | members


HALL = Entity(
    "urn:ngsi-ld:Zone:hall",
    ["Zone"],
    AT,
    AT,
    {
        "t": [
            instance("Property", 21.0, observedAt="2026-03-01T08:00:00Z", unitCode="CEL"),
            instance("Property", 25, datasetId="urn:x:b", attrs={"accuracy": [instance("Property", 0.5)]}),
        ],
        "open": [instance("Property", True)],
        "name": [instance("Property", "Hall")],
        "since": [instance("Property", "2026-03-01T08:00:00.50Z")],
        "until": [instance("Property", {"@type": "DateTime", "@value": "2026-03-01T20:00:00Z"})],
        "tags": [instance("Property", ["red", 5, "2026-03-01T08:00:00Z"])],
        "address": [instance("Property", {"city": "Settat", "geo": {"floor": 1}, "none": None})],
        "label": [instance("LanguageProperty", {"en": "hall", "fr": ["salle", "hall"]})],
        "usage": [instance("VocabProperty", ["https://e.org/Teaching"])],
        "config": [instance("JsonProperty", {"type": "x", "deep": {"n": 1}})],
        "steps": [instance("ListProperty", [1, 2, [3]])],
        "partOf": [instance("Relationship", "urn:ngsi-ld:Site:1")],
        "doors": [instance("ListRelationship", ["urn:x:1", "urn:x:2"])],
    },
)


def holds(text: str) -> bool:
    return evaluate.compile(query.parse(text, CORE))(HALL)


@pytest.mark.parametrize(
    "text",
    [
        *("t", "t==21", "t==21.0", "t==25", "t!=25", "t>24", "t<22", "t==20..22", "t!=20..22", "t==1,25"),
        *('t!="21"', "t.accuracy<1", "t.unitCode==CEL", 't.unitCode~="^C"', "t.datasetId==urn:x:b"),
        *("t.observedAt==2026-03-01T08:00:00.000Z", "modifiedAt<=2026-03-01T08:00:00Z", "createdAt"),
        *("open==true", "open!=1", "open!=false", 'name=="Hall"', "name==Hall", 'name~="al"', "name!~=^all"),
        *('name>"Ha"', 'name<"Haz"', 'name=="A".."Z"', "since>2026-03-01T08:00:00.5Z|since==2026-03-01T08:00:00.5Z"),
        *("since>2026-03-01T08:00:00Z", 'since=="2026-03-01T08:00:00.500Z"', "until>2026-03-01T19:00:00Z"),
        *('tags=="red"', 'tags=="blue","red"', "tags==5.0", 'tags!="blue"', "tags==2026-03-01T08:00:00.0Z"),
        *('address[city]=="Settat"', "address[geo.floor]==1", "address[none]", "address[none]!=1", "address!=1"),
        *('label[en]=="hall"', 'label[fr]=="salle"', 'label[*]=="salle"', 'label=="hall"', 'label[en]~="^h"'),
        *('label[*]!="x"', 'label[en]!="salle"', 'label!~="x"', "label[*]", 'label[en]>"ha"'),
        *('usage=="https://e.org/Teaching"', "config[type]==x", "config[deep.n]==1", "config!=1"),
        *("steps==2", "steps!=3", "partOf==urn:ngsi-ld:Site:1", 'partOf=="urn:ngsi-ld:Site:1"', "doors==urn:x:2"),
        *("partOf!=urn:x:9", "doors!=urn:x:9", "!nothing", "!t.nothing", "!address[street]"),
        *("t>24;t<22", "nothing|t", "(nothing|t);open==true"),
    ],
)
def test_it_holds(text: str) -> None:
    assert holds(text)


@pytest.mark.parametrize(
    "text",
    [
        *("nothing", "nothing!=5", "!t", 't=="21"', "t>25", 't>"1"', "t==22..24", "t.nothing", "t.accuracy.unitCode"),
        *("t.observedAt!=2026-03-01T08:00:00.00Z", "modifiedAt<2026-03-01T08:00:00Z", "expiresAt"),
        *("open==1", "open>0", 'open=="true"', 'name>"Hall"', "name~=^al", 'name!~="al"', "name==hall", "name>5"),
        *("since<2026-03-01T08:00:00.49Z", "since>2026-03-01", "name>2026-03-01T08:00:00Z", 'until>"2026"'),
        *('tags!="red"', "tags>1", 'tags~="red"', 'tags!~="x"', "tags==1..9", "t~=2", "t!~=2"),
        *("address[street]", "address[street]!=1", "address[city.x]", "address[none]==1", "tags[0]==red"),
        *('label[en]=="salle"', 'label[de]!="x"', 'label[*]!="hall"', 'label!="salle"', 'label>"a"', 'label!~="h"'),
        *('label=="a".."z"', "usage==Teaching", "steps>0", "steps==3", "steps==1..3", "config==1", "config[deep]==1"),
        *('partOf>"urn"', 'partOf~="Site"', 'partOf!~="x"', "doors!=urn:x:2", 'partOf=="a".."z"', "partOf[x]"),
        *("t>24;nothing", "nothing|!t"),
    ],
)
def test_it_does_not_hold(text: str) -> None:
    assert not holds(text)
