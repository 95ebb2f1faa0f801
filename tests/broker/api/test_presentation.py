"""How entities are shown: instances, languages, projection, versions, proofs."""

from typing import Any
from urllib.parse import quote

import pytest

from tests.broker.api.conftest import Api
from tests.builders import unique_id

TENANT = "shown"
ROOM = "urn:ngsi-ld:Room:shown"


@pytest.fixture(scope="module", autouse=True)
async def entity(api: Api) -> None:
    """A room of several languages and instances."""
    body = {
        "id": ROOM,
        "type": ["Room", "Lab"],
        "scope": "/A",
        "label": {"languageMap": {"en": "Room", "sk": "Izba", "fr-CA": ["Salle", "Pièce"]}},
        "co2": [{"value": 1}, {"value": 2, "datasetId": "urn:x:a"}],
        "noise": {"value": 3, "datasetId": "urn:x:b"},
        "usage": {"vocab": "Teaching"},
    }
    assert (await api("POST", "entities", body, NGSILD_Tenant=TENANT))[0] == 201


async def shown(api: Api, parameters: str, **headers: str) -> Any:
    return (await api("GET", f"entities/{ROOM}?{parameters}", NGSILD_Tenant=TENANT, **headers))[2]


@pytest.mark.clause("4.15")
async def test_one_language_is_shown(api: Api) -> None:
    assert (await shown(api, "lang=sk"))["label"] == {"type": "Property", "value": "Izba", "lang": "sk"}
    assert (await shown(api, "lang=fr&format=concise"))["label"] == {"value": ["Salle", "Pièce"], "lang": "fr-CA"}
    assert (await shown(api, "lang=sk;q=0.1,en&options=keyValues"))["label"] == "Room"
    assert (await api("GET", f"entities/{ROOM}?lang=;q", NGSILD_Tenant=TENANT))[0] == 400


@pytest.mark.clause("4.5.5")
async def test_the_instances_asked_for_are_shown(api: Api) -> None:
    found = await shown(api, "datasetId=@none&options=keyValues")
    assert (found["co2"], "noise" in found) == (1, False)
    found = await shown(api, "datasetId=urn:x:a,urn:x:b&options=keyValues")
    assert (found["co2"], found["noise"], "label" in found) == (2, 3, False)
    assert (await shown(api, "datasetId=urn:x:z&options=keyValues")).keys() == {"id", "type", "scope"}
    assert (await api("GET", f"entities/{ROOM}?datasetId=a", NGSILD_Tenant=TENANT))[0] == 400


SHAPES = [
    ("pick=id|noise", {"id", "noise"}),
    ("pick=type,scope", {"type", "scope"}),
    ("omit=id,type,label,co2,usage", {"scope", "noise"}),
    ("pick=id,createdAt&options=sysAttrs", {"id", "createdAt"}),
    ("attrs=noise", {"id", "type", "scope", "noise"}),
]


@pytest.mark.parametrize(("parameters", "members"), SHAPES)
@pytest.mark.clause("4.21")
async def test_only_what_is_wanted_is_shown(api: Api, parameters: str, members: set[str]) -> None:
    assert (await shown(api, quote(parameters, safe="=&,"))).keys() == members


REFUSED = ["pick=a&omit=a", "attrs=a&pick=b", "attrs=id", "pick=a,,b", "pick=", "omit={a}", "pick=a b", "attrs=a{b}"]


@pytest.mark.parametrize("parameters", REFUSED)
@pytest.mark.clause("4.21")
async def test_what_breaks_the_grammar_is_refused(api: Api, parameters: str) -> None:
    path = f"entities?type=Room&{quote(parameters, safe='=&,')}"
    status, _, problem = await api("GET", path, NGSILD_Tenant=TENANT)
    assert (status, problem["type"].rpartition("/")[2]) == (400, "BadRequestData")


@pytest.mark.clause("4.21")
async def test_an_entity_without_anything_wanted_is_left_out(api: Api) -> None:
    assert (await api("GET", f"entities/{ROOM}?pick=nothing", NGSILD_Tenant=TENANT))[0] == 404
    assert (await api("GET", "entities?type=Room&pick=nothing", NGSILD_Tenant=TENANT))[2] == []


@pytest.mark.clause("6.3.20")
async def test_an_earlier_version_is_preferred(api: Api) -> None:
    path = f"entities/{ROOM}"
    status, headers, found = await api("GET", path, NGSILD_Tenant=TENANT, Prefer="ngsi-ld=1.5")
    assert (status, headers["preference-applied"]) == (203, "ngsi-ld=1.5")
    assert found["usage"] == {"type": "Property", "value": "Teaching"}
    status, headers, found = await api("GET", path, NGSILD_Tenant=TENANT, Prefer='body=json, NGSI-LD="1.9";q=0.2')
    assert (status, headers["preference-applied"], found["usage"]["type"]) == (200, "ngsi-ld=1.9", "VocabProperty")
    status, headers, _ = await api("GET", path, NGSILD_Tenant=TENANT, Prefer="return=minimal")
    assert (status, "preference-applied" in headers) == (200, False)
    status, _, (found,) = await api("GET", "entities?type=Lab", NGSILD_Tenant=TENANT, Prefer="ngsi-ld=1.2")
    assert (status, found["type"], found["co2"]) == (203, "Room", {"type": "Property", "value": 1})


@pytest.mark.clause("4.3.6.8")
async def test_subscriptions_are_the_same_in_every_version(api: Api) -> None:
    endpoint = {"endpoint": {"uri": "http://127.0.0.1:9/none"}}
    body = {"id": "urn:x:s", "type": "Subscription", "entities": [{"type": "Room"}], "notification": endpoint}
    assert (await api("POST", "subscriptions", body, NGSILD_Tenant=TENANT))[0] == 201
    for path in ("subscriptions", "subscriptions/urn:x:s"):
        status, headers, _ = await api("GET", path, NGSILD_Tenant=TENANT, Prefer="ngsi-ld=1.3")
        assert (status, headers["preference-applied"]) == (200, "ngsi-ld=1.3")


@pytest.mark.clause("4.5.2")
async def test_a_proof_is_kept_and_sealed_members_are_its_own(api: Api) -> None:
    proof = {
        "type": "Property",
        "entityIdSealed": "urn:ngsi-ld:Vehicle:1",
        "entityTypeSealed": "Vehicle",
        "value": {"type": "DataIntegrityProof", "proofValue": "zQeV", "n": [1, {"a": None}]},
    }
    body = {
        "id": unique_id("Vehicle"),
        "type": "Vehicle",
        "speed": {"value": 5, "ngsildproof": proof},
        "ngsildproof": proof,
    }
    assert (await api("POST", "entities", body))[0] == 201
    found = (await api("GET", f"entities/{body['id']}"))[2]
    assert found["ngsildproof"] == found["speed"]["ngsildproof"] == proof
    wrong: list[dict[str, Any]] = [
        {"speed": {"value": 1, "entityIdSealed": "urn:x:1"}},
        {"ngsildproof": {"value": "text"}},
        {"ngsildproof": {"value": {"a": 1}, "entityTypeSealed": 42}},
        {"ngsildproof": {"value": {"a": 1}, "entityIdSealed": {"value": "urn:x:1"}}},
        {"entityIdSealed": {"value": "urn:x:1"}},
    ]
    for attributes in wrong:
        assert (await api("POST", "entities", {"id": unique_id(), "type": "Vehicle", **attributes}))[0] == 400
