"""What is refused, with which status and error type, and that the text names the input."""

from typing import Any

import pytest

from tests.broker.api.conftest import CAMPUS, Api
from tests.builders import room

LINK = f'<{CAMPUS}>; rel="http://www.w3.org/ns/json-ld#context"'
ROOM = {"id": "urn:ngsi-ld:Room:refused", "type": "Room"}

BODIES: list[tuple[bytes, str, str]] = [
    (b"", "InvalidRequest", "empty"),
    (b"{", "InvalidRequest", "not JSON"),
    (b"[]", "InvalidRequest", "one JSON object"),
    (b'{"type": "Room"}', "BadRequestData", '"id"'),
    (b'{"id": "urn:ngsi-ld:Room:1"}', "BadRequestData", '"type"'),
    (b'{"id": "no uri", "type": "Room"}', "BadRequestData", "no uri"),
    (b'{"id": "urn:x:1", "type": "type"}', "BadRequestData", "keyword"),
    (b'{"id": "urn:x:1", "type": "A", "b c": 1}', "BadRequestData", "b c"),
    (b'{"id": "urn:x:1", "type": "A", "a": null}', "BadRequestData", "null"),
    (b'{"id": "urn:x:1", "type": "A", "a": {"type": "Property"}}', "BadRequestData", "'value'"),
    (b'{"id": "urn:x:1", "type": "A", "a": {"type": "Prperty", "value": 1}}', "BadRequestData", "Prperty"),
    (b'{"id": "urn:x:1", "type": "A", "a": {"type": "Relationship", "object": "x"}}', "BadRequestData", "'x'"),
    (b'{"id": "urn:x:1", "type": "A", "a": {"value": 1, "observedAt": "today"}}', "BadRequestData", "today"),
    (
        b'{"id": "urn:x:1", "type": "A", "a": {"value": 1, "observedAt": "2026-02-30T00:00:00Z"}}',
        "BadRequestData",
        "02-30",
    ),
    (b'{"id": "urn:x:1", "type": "A", "location": {"value": 1}}', "BadRequestData", "GeoProperty"),
    (
        b'{"id": "urn:x:1", "type": "A", "a": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": "x"}}}',
        "BadRequestData",
        "coordinates",
    ),
    (b'{"id": "urn:x:1", "type": "A", "a": [{"value": 1}, {"value": 2}]}', "BadRequestData", "datasetId"),
    (b'{"id": "urn:x:1", "type": "A", "a": 18446744073709551615}', "BadRequestData", "64 bits"),
    (b'{"id": "urn:x:1", "type": "A", "a": {"value": {"b\\u0000": 1}}}', "BadRequestData", "U+0000"),
    (b'{"id": "urn:x:1", "type": "A", "a": ' + b"[" * 100 + b"]" * 100 + b"}", "BadRequestData", "levels"),
    (b'{"id": "urn:x:1", "type": "A", "a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "InvalidRequest", "JSON"),
    (b'{"id": "urn:x:1", "type": "A", "a": "\\ud800"}', "InvalidRequest", "JSON"),
    (b'{"@context": {}, "id": "urn:x:1", "type": "A"}', "BadRequestData", "@context"),
]


@pytest.mark.parametrize(("content", "name", "words"), BODIES)
@pytest.mark.clause("5.5.2")
async def test_a_wrong_entity(api: Api, content: bytes, name: str, words: str) -> None:
    status, headers, problem = await api("POST", "entities", content, Content_Type="application/json")
    assert (status, headers["content-type"]) == (400, "application/json")
    assert problem["type"] == f"https://uri.etsi.org/ngsi-ld/errors/{name}"
    assert words in problem["detail"]
    assert problem["title"] != problem["detail"]


REQUESTS: list[tuple[str, str, Any, dict[str, str], int]] = [
    ("GET", "entities", None, {}, 400),
    ("GET", "entities?id=urn:x:1", None, {}, 400),
    ("GET", "entities?type=Room&nonsense=1", None, {}, 400),
    ("GET", "entities?type=Room&type=Hall", None, {}, 400),
    ("GET", "entities?type=Room&entityMap=perhaps", None, {}, 400),
    ("GET", "entities?type=Room&entityMapLifetime=1hour", None, {}, 400),
    ("GET", "entities?type=Room&limit=-1", None, {}, 400),
    ("GET", "entities?type=Room&limit=0", None, {}, 400),
    ("GET", "entities?type=Room&limit=1001", None, {}, 403),
    ("GET", "entities?type=Room&count=maybe", None, {}, 400),
    ("GET", "entities?type=Room&q=a==", None, {}, 400),
    ("GET", "entities?type=Room&idPattern=(a%2B)%2B", None, {}, 400),
    ("GET", "entities?type=Room&format=fancy", None, {}, 400),
    ("GET", "entities?type=Room&options=fancy", None, {}, 400),
    ("GET", "entities/urn:x:never?local=maybe", None, {}, 400),
    ("GET", "entities?type=Room&splitEntities=maybe", None, {}, 400),
    ("POST", "entities?local=maybe", room(), {}, 400),
    ("POST", "entityOperations/create?local=1", [room()], {}, 400),
    ("GET", "entities?type=(Room", None, {}, 400),
    ("GET", "entities?type=Room&attrs=a,,b", None, {}, 400),
    ("GET", "entities?type=Room&pick=a&omit=a", None, {}, 400),
    ("GET", "entities/not-a-uri", None, {}, 400),
    ("GET", "entities/urn:x:never", None, {}, 404),
    ("GET", "entities/urn:x:never", None, {"Accept": "text/html"}, 406),
    ("GET", "entities/urn:x:never", None, {"Link": LINK.replace("campus", "nowhere")}, 404),
    ("POST", "entities", room(), {"Link": LINK.replace("campus", "nowhere")}, 504),
    ("POST", "entities", room(), {"Link": LINK, "Content-Type": "application/ld+json"}, 400),
    ("GET", "entities?type=Room", None, {"Link": "<https://medina.example/campus/context.jsonld>"}, 400),
    ("GET", "entities?type=Room", None, {"Link": "https://medina.example/campus/context.jsonld"}, 400),
    ("POST", "entities", room(), {"Link": LINK.replace("rel=", "rell=")}, 400),
    ("POST", "entities", b"<x/>", {"Content-Type": "text/xml"}, 415),
    ("PUT", "entities", {}, {}, 405),
    ("PUT", "entities/", {}, {}, 400),
    ("PATCH", "entities/", {}, {}, 400),
    ("POST", "entities//attrs", {"a": 1}, {}, 400),
    ("PATCH", "entities//attrs/a", {"value": 1}, {}, 400),
    ("DELETE", "entities//attrs/a", None, {}, 400),
    ("DELETE", "entities/urn:x:1/attrs/", None, {}, 405),
    ("PATCH", "subscriptions/", {}, {}, 405),
    ("DELETE", "subscriptions/", None, {}, 405),
    ("PATCH", "csourceRegistrations/", {}, {}, 405),
    ("DELETE", "csourceRegistrations/", None, {}, 405),
    ("DELETE", "temporal/entities/", None, {}, 405),
    ("PATCH", "entities/urn:x:never", {"a": 1}, {}, 404),
    ("PATCH", "entities/urn:x:never", {"a": 1, "id": "urn:x:other"}, {}, 400),
    ("PUT", "entities/urn:x:never", {"a": 1}, {}, 404),
    ("PATCH", "entities/urn:x:never/attrs/a", {}, {}, 400),
    ("DELETE", "entities/urn:x:never/attrs/@bad", None, {}, 400),
    ("GET", "nowhere", None, {}, 404),
    ("GET", "entityMaps", None, {}, 400),
    ("GET", "entityMaps?id=urn:x:1", None, {}, 400),
    ("GET", "entityMaps/not-a-uri", None, {}, 400),
    ("GET", "entityMap/urn:x:never", None, {}, 404),
    ("GET", "temporal/entities?type=Room", None, {}, 400),
    ("GET", "temporal/entities?id=urn:x:1&timerel=before&timeAt=2026-01-01T00:00:00Z", None, {}, 400),
    ("GET", "temporal/entities?type=Room&timerel=before&timeAt=2026-01-01T00:00:00Z&nonsense=1", None, {}, 400),
    ("GET", "temporal/entities?type=Room&timerel=soon&timeAt=2026-01-01T00:00:00Z", None, {}, 400),
    ("GET", "temporal/entities?type=Room&timerel=before&timeAt=2026-01-01T00:00:00Z", None, {}, 501),
    ("GET", "temporal/entities/urn:x:1", None, {}, 501),
    ("GET", "temporal/entities/not-a-uri", None, {}, 400),
    ("GET", "temporal/entityMaps?type=Room", None, {}, 400),
    ("POST", "temporal/entities", b"{", {"Content-Type": "application/json"}, 400),
    ("POST", "temporal/entities", {"type": "Room"}, {}, 400),
    ("POST", "temporal/entities", {"id": "x", "type": "Room"}, {}, 400),
    ("POST", "temporal/entities", {"id": "urn:x:1", "type": "Room", "a": "urn:ngsi-ld:null"}, {}, 400),
    ("POST", "temporal/entities", {"id": "urn:x:1", "type": "A"}, {"Link": LINK.replace("campus", "nowhere")}, 504),
    ("POST", "temporal/entities//attrs", {"a": []}, {}, 400),
    ("PATCH", "temporal/entities/urn:x:1/attrs/a/", {"a": []}, {}, 405),
    ("PATCH", "temporal/entities/urn:x:1/attrs//urn:x:2", {"a": []}, {}, 405),
    ("DELETE", "temporal/entities/urn:x:1/attrs//urn:x:2", None, {}, 400),
    ("DELETE", "temporal/entities/urn:x:1/attrs/a/not-a-uri", None, {}, 400),
    ("DELETE", "temporal/entities/urn:x:1/attrs/@bad", None, {}, 400),
    ("POST", "temporal/entityOperations/query", {"type": "Query", "entities": [{"type": "A"}]}, {}, 400),
    ("GET", "csourceRegistrations", None, {}, 400),
    ("GET", "csourceRegistrations/not-a-uri", None, {}, 400),
    ("PATCH", "csourceRegistrations/urn:x:1", [], {}, 400),
    ("POST", "csourceSubscriptions", {"type": "Subscription"}, {}, 400),
    ("POST", "snapshots", {"type": "Snap"}, {}, 400),
    ("DELETE", "snapshots", None, {}, 400),
    ("POST", "entityOperations/upsert", [], {}, 400),
    ("POST", "entityOperations/upsert", {}, {}, 400),
    ("POST", "entityOperations/delete", [5], {}, 400),
    ("POST", "subscriptions", [], {}, 400),
    ("GET", "subscriptions/urn:x:never", None, {}, 404),
    ("DELETE", "subscriptions/urn:x:never", None, {}, 404),
    ("DELETE", "subscriptions/not-a-uri", None, {}, 400),
]


@pytest.mark.parametrize(("method", "path", "body", "headers", "expected"), REQUESTS)
async def test_a_wrong_request(
    api: Api, method: str, path: str, body: Any, headers: dict[str, str], expected: int
) -> None:
    status, answered, problem = await api(method, path, body, **headers)
    assert status == expected
    if status == 405:
        allowed = answered["allow"].split(", ")
        assert method not in allowed
        assert "OPTIONS" in allowed
    if status == 415:
        assert "application/ld+json" in answered["accept"]
    if status in (411, 415):
        assert problem == b""
    else:
        assert problem["status"] == status
        assert problem["type"].startswith("https://uri.etsi.org/ngsi-ld/errors/")
        assert problem["detail"] not in ("", problem["title"])


async def test_a_body_over_the_limit(api: Api) -> None:
    big = b'{"id": "urn:x:1", "type": "A", "a": "' + b"x" * 10_000_000 + b'"}'
    assert (await api("POST", "entities", big, Content_Type="application/json"))[0] == 413


async def test_links_that_name_no_context_are_left_alone(api: Api) -> None:
    status, _, _ = await api(
        "GET", "entities?type=Room", Link='</next>; rel="next", <https://city.example>; rel=author'
    )
    assert status == 200
