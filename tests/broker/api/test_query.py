"""Finding entities over HTTP."""

from urllib.parse import quote

import pytest

from tests.broker.api.conftest import Api


@pytest.fixture(scope="module", autouse=True)
async def rooms(api: Api) -> None:
    """Twelve halls of the tenant `halls`, one of them with two types."""
    bodies = [
        {
            "id": f"urn:ngsi-ld:Hall:{number:02}",
            "type": ["Hall", "Gate"] if number == 7 else "Hall",
            "temperature": {"type": "Property", "value": 18 + number, "unitCode": "CEL"},
            "name": f"hall {number}",
            **({"co2": 600} if number % 2 else {}),
        }
        for number in range(12)
    ]
    assert (await api("POST", "entityOperations/upsert", bodies, NGSILD_Tenant="halls"))[0] == 201


QUERIES = [
    ("type=Hall&limit=100", range(12)),
    ("type=Gate", [7]),
    ("type=(Hall;Gate)", [7]),
    ("type=Room|Gate", [7]),
    ("type=Room", []),
    ("attrs=co2", range(1, 12, 2)),
    ("q=temperature>27", [10, 11]),
    ("q=temperature==20..22", [2, 3, 4]),
    ('q=(temperature<20|name=="hall 9");co2', [1, 9]),
    ('q=name~="l 1.$"', [10, 11]),
    ("type=Hall&idPattern=:0[34]$", [3, 4]),
    ("type=Hall&id=urn:ngsi-ld:Hall:05,urn:ngsi-ld:Hall:99", [5]),
    ("local=true&limit=3", [0, 1, 2]),
]


@pytest.mark.parametrize(("parameters", "numbers"), QUERIES)
@pytest.mark.clause("5.7.2")
async def test_what_is_found(api: Api, parameters: str, numbers: list[int]) -> None:
    path = "entities?options=keyValues&" + quote(parameters, safe="=&:,;()")
    status, _, found = await api("GET", path, NGSILD_Tenant="halls")
    assert status == 200
    assert [entity["id"] for entity in found] == [f"urn:ngsi-ld:Hall:{number:02}" for number in numbers]


@pytest.mark.clause("6.3.10")
async def test_pages_follow_each_other(api: Api) -> None:
    _, headers, first = await api("GET", "entities?type=Hall&limit=5&count=true", NGSILD_Tenant="halls")
    assert (len(first), headers["ngsild-results-count"]) == (5, "12")
    path, seen = "entities?type=Hall&limit=5", []
    while path:
        _, headers, page = await api("GET", path, NGSILD_Tenant="halls")
        seen += [entity["id"] for entity in page]
        following = [link for link in headers["link"].split(", <") if 'rel="next"' in link]
        path = following[0].partition(">")[0].removeprefix("</ngsi-ld/v1/") if following else ""
    assert seen == [f"urn:ngsi-ld:Hall:{number:02}" for number in range(12)]
    _, headers, none = await api("GET", "entities?type=Hall&limit=0&count=true", NGSILD_Tenant="halls")
    assert (none, headers["ngsild-results-count"]) == ([], "12")


@pytest.mark.clause("4.21")
async def test_only_the_wanted_members_are_shown(api: Api) -> None:
    async def shown(parameters: str) -> object:
        return (
            await api("GET", f"entities/urn:ngsi-ld:Hall:01?format=simplified&{parameters}", NGSILD_Tenant="halls")
        )[2]

    assert await shown("attrs=co2") == {"id": "urn:ngsi-ld:Hall:01", "type": "Hall", "co2": 600}
    assert await shown("pick=id,co2") == {"id": "urn:ngsi-ld:Hall:01", "co2": 600}
    assert await shown("omit=type,name,co2") == {"id": "urn:ngsi-ld:Hall:01", "temperature": 19}
    status, _, _ = await api("GET", "entities/urn:ngsi-ld:Hall:02?pick=co2", NGSILD_Tenant="halls")
    assert status == 404
