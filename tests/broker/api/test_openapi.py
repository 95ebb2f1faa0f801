"""The OpenAPI document: it says everything about every operation, and the API keeps what it says."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from broker.app import RESOURCES, create_app
from broker.settings import Settings
from tests.broker.api.conftest import Api, serving
from tests.builders import room

DOCUMENT: dict[str, Any] = create_app(Settings()).openapi()
OFFERED = [
    (resource.path, method, operation)
    for resource in RESOURCES
    for method, operation in resource.operations.items()
    if operation.is_offered
]
EXAMPLES_COUNT = 10

REGISTRATION = {
    "type": "ContextSourceRegistration",
    "information": [{"entities": [{"type": "Room"}], "propertyNames": ["temperature"]}],
    "endpoint": "https://source.example",
}
PAST = {"timerel": "before", "timeAt": "2026-01-01T00:00:00Z"}
NOT_OFFERED_BODIES: dict[str, dict[str, Any]] = {
    "postCsourceRegistrations": REGISTRATION,
    "postCsourceSubscriptions": {
        "type": "Subscription",
        "entities": [{"type": "Room"}],
        "notification": {"endpoint": {"uri": "https://receiver.example"}},
    },
    "postTemporalEntities": {"id": "urn:x:1", "type": "Room", "a": [{"type": "Property", "value": 1}]},
    "postTemporalEntityOperationsQuery": {"type": "Query", "temporalQ": PAST, "entities": [{"type": "Room"}]},
    "postTemporalEntityMaps": {"type": "Query", "temporalQ": PAST, "entities": [{"type": "Room"}]},
    "postSnapshots": {"type": "Snapshot"},
    "postSnapshotsSnapshotIdClone": {"type": "Snapshot"},
}
NOT_OFFERED_QUESTIONS = {
    "getCsourceRegistrations": "?type=Room",
    "getTemporalEntities": "?type=Room&timerel=before&timeAt=2026-01-01T00:00:00Z",
    "getTemporalEntityMaps": "?type=Room&timerel=before&timeAt=2026-01-01T00:00:00Z",
    "deleteSnapshots": "?q=snapshotPriority==1",
}
"""What is right to ask: what is wrong is answered 400 first."""


def described(path: str, method: str) -> dict[str, Any]:
    found: dict[str, Any] = DOCUMENT["paths"][path][method.lower()]
    return found


def named(case: Any) -> str | None:
    return case.name if hasattr(case, "name") else None


@pytest.mark.parametrize(("path", "method", "operation"), OFFERED, ids=named)
def test_an_operation_is_worth_reading(path: str, method: str, operation: Any) -> None:
    shown = described(path, method)
    assert shown["summary"]
    assert f"clause {operation.clause}" in shown["description"]
    for parameter in shown["parameters"]:
        assert parameter["schema"]
        assert parameter["description"], parameter["name"]
        if parameter["in"] == "query":
            assert not {"examples", "enum", "default", "items"}.isdisjoint(parameter["schema"]), parameter["name"]
    if operation.body is not None:
        for content in shown["requestBody"]["content"].values():
            assert content["schema"]
            assert "example" in content
    for status, response in shown["responses"].items():
        assert response["description"]
        if int(status) >= 400 and status not in ("411", "415"):
            content = response["content"]["application/json"]
            assert content["schema"] == {"$ref": "#/components/schemas/ProblemDetails"}
            assert {example["value"]["status"] for example in content["examples"].values()} == {int(status)}
        elif status == "200":
            assert response["content"], "an answer with a body has a schema"


def test_families_are_introduced_in_order() -> None:
    used = {tag for methods in DOCUMENT["paths"].values() for item in methods.values() for tag in item["tags"]}
    assert used == {tag["name"] for tag in DOCUMENT["tags"]}
    assert "@context" in DOCUMENT["info"]["description"]


def test_operations_have_names_of_their_own() -> None:
    names = [operation["operationId"] for methods in DOCUMENT["paths"].values() for operation in methods.values()]
    assert len(names) == len(set(names))


SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
SERVER_ERRORS = {501, 504}
"""What this broker does not offer yet, and @contexts that cannot be fetched."""
TESTED = [(path, method.lower()) for path, method, operation in OFFERED if not operation.offers_events]
"""All but streams, whose answers have no end (tests.broker.streams)."""
OPERATOR = {"Authorization": "Bearer sesame"}
KNOWN = {
    "attributeName": "temperature",
    "contextId": "urn:ngsi-ld:Context:unknown",
    "entityId": "urn:ngsi-ld:Room:1",
    "entityMapId": "urn:ngsi-ld:EntityMap:unknown",
    "notificationId": "urn:ngsi-ld:Notification:unknown",
    "subscriptionId": "urn:ngsi-ld:Subscription:1",
    "tenant": "settat",
    "type": "Room",
}
SUBSCRIPTION = DOCUMENT["components"]["schemas"]["Subscription"]["examples"][0]


@pytest.fixture(scope="module")
async def hermit(mongo: str) -> AsyncIterator[Api]:
    """A context API that asks nobody for @contexts."""
    settings = Settings(mongodb_uri=mongo, database="openapi", fetch_contexts="none", operator_key="sesame")
    async with serving(settings) as api:
        yield api


async def make_known(api: Api) -> None:
    """Makes what the path parameters of KNOWN name."""
    made = await api("POST", "entityOperations/upsert", [room(KNOWN["entityId"]), room("urn:ngsi-ld:Room:2")])
    assert made[0] in (201, 204)
    subscribed = await api("POST", "subscriptions", {**SUBSCRIPTION, "id": KNOWN["subscriptionId"]})
    assert subscribed[0] in (201, 409)
    status, _, shown = await api("GET", "entityMaps?local=true")
    assert status == 201
    KNOWN["entityMapId"] = shown["id"]


@pytest.mark.parametrize(("path", "method"), TESTED)
async def test_the_api_keeps_what_the_document_says(hermit: Api, path: str, method: str) -> None:
    await make_known(hermit)
    await asyncio.to_thread(_try_operation, hermit.address, SCHEMA[path][method])


def _try_operation(address: str, operation: Any) -> None:
    """Sends generated requests, right and wrong ones, to one operation; most of them to something that is there."""
    cases = st.one_of([operation.as_strategy(mode) for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)])

    @settings(
        max_examples=EXAMPLES_COUNT,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases, st.integers(0, 3))
    def send(case: Any, wildness: int) -> None:
        if wildness < 3 and "{" in operation.path:
            case.path_parameters = {name: KNOWN[name] for name in case.path_parameters}
        if wildness < 2:
            case.headers = {}
        response = case.call(base_url=address, session=session, headers=OPERATOR)
        assert response.status_code < 500 or response.status_code in SERVER_ERRORS, case.as_curl_command()
        case.validate_response(response, checks=CHECKS)

    with requests.Session() as session:
        send()


WITH_BODY = [(path, method) for path, method, operation in OFFERED if operation.body is not None]


@pytest.mark.parametrize(("path", "method"), WITH_BODY)
async def test_the_examples_of_the_document_work(hermit: Api, path: str, method: str) -> None:
    await make_known(hermit)
    for media_type, content in described(path, method)["requestBody"]["content"].items():
        if path.endswith(("/entities", "/create")):
            await hermit("DELETE", f"entities/{KNOWN['entityId']}")
        status, _, answer = await hermit(
            method, path.format(**KNOWN), orjson.dumps(content["example"]), Content_Type=media_type
        )
        assert status in (200, 201, 204), answer


@pytest.mark.parametrize(
    ("path", "method", "name"),
    [
        (resource.path, method, operation.name)
        for resource in RESOURCES
        for method, operation in resource.operations.items()
        if not operation.is_offered
    ],
)
async def test_what_is_not_offered_says_so(hermit: Api, path: str, method: str, name: str) -> None:
    ids = dict.fromkeys(("registrationId", "snapshotId", "instanceId"), "urn:x:1")
    body = NOT_OFFERED_BODIES.get(name, {}) if method in ("POST", "PUT", "PATCH") else None
    question = NOT_OFFERED_QUESTIONS.get(name, "")
    status, _, problem = await hermit(method, path.format(**(ids | KNOWN)) + question, body)
    assert (status, problem["type"].rpartition("/")[2]) == (501, "OperationNotSupported"), problem
    assert described(path, method)["responses"]["501"]
