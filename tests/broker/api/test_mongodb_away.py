"""While MongoDB is away every kind of operation says so, in time, and when it is back every one works again."""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from broker.embedded import running_mongod
from broker.settings import Settings
from tests.broker.api.conftest import Api, serving
from tests.builders import room
from tests.waiting import until

TIMEOUT_S = 1.0
IN_TIME_S = 15
KEY = "key of the operators"
ROOM = room()
SUBSCRIPTION = {
    "type": "Subscription",
    "watchedAttributes": ["temperature"],
    "notification": {"endpoint": {"uri": "http://127.0.0.1:9/"}},
}
LETTERS = "../ex/v1/subscriptions/urn:x:s/deadLetters"
Operation = tuple[str, str, Any]
OPERATIONS: list[Operation] = [
    ("POST", "entities", room()),
    ("PATCH", f"entities/{ROOM['id']}/attrs", {"temperature": {"type": "Property", "value": 1}}),
    ("GET", f"entities/{ROOM['id']}", None),
    ("DELETE", f"entities/{ROOM['id']}", None),
    ("GET", "entities?type=Room&count=true", None),
    ("GET", "entities?type=Room&orderBy=temperature", None),
    ("POST", "entityOperations/query", {"type": "Query", "entities": [{"type": "Room"}]}),
    ("POST", "entityOperations/upsert", [room() for _ in range(300)]),
    ("POST", "entityOperations/update", [room()]),
    ("POST", "entityOperations/delete", [ROOM["id"]]),
    ("DELETE", "entities?type=Room", None),
    ("GET", "types?details=true", None),
    ("GET", "attributes", None),
    ("POST", "subscriptions", SUBSCRIPTION),
    ("GET", "subscriptions?count=true", None),
    ("PATCH", "subscriptions/urn:x:s", {"isActive": False}),
    ("GET", LETTERS, None),
    ("POST", "jsonldContexts", {"@context": {"a": "https://x.example/a"}}),
    ("GET", "jsonldContexts", None),
    ("GET", "../ex/v1/tenants", None),
    ("DELETE", "../ex/v1/tenants/settat", None),
]


@pytest.mark.timeout(60)
@pytest.mark.clause("5.5.3")
async def test_every_operation_answers_in_time(tmp_path: Path, free_port: Callable[[], int]) -> None:
    folder, port = tmp_path / "mongod", free_port()
    with ExitStack() as stack:
        uri = stack.enter_context(running_mongod(folder, port))
        settings = Settings(mongodb_uri=uri, database="away", mongodb_timeout_s=TIMEOUT_S, operator_key=KEY)
        async with serving(settings) as api:
            assert (await api("POST", "entities", ROOM))[0] == 201
            stack.close()
            for (method, path, _), (status, headers, problem) in await _answers(api):
                assert (status, headers["retry-after"]) == (503, "1"), f"{method} {path}"
                assert "MongoDB" in problem["detail"]
            stack.enter_context(running_mongod(folder, port))
            await until(lambda: _is_back(api))
            for (method, path, _), (status, _, answer) in await _answers(api):
                assert status < 300 or status == 404, f"{method} {path}: {answer}"


async def _is_back(api: Api) -> bool:
    return (await api("GET", f"entities/{ROOM['id']}"))[0] == 200


async def _answers(api: Api) -> list[tuple[Operation, tuple[int, dict[str, str], Any]]]:
    """All operations at the same time."""
    async with asyncio.timeout(IN_TIME_S):
        asked = [api(*operation, Authorization=f"Bearer {KEY}") for operation in OPERATIONS]
        return list(zip(OPERATIONS, await asyncio.gather(*asked), strict=True))
