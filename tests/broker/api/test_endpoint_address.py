"""Subscriptions to endpoints where notifications may not go."""

from collections.abc import AsyncIterator

import pytest

from broker.settings import Settings
from tests.broker.api.conftest import Api, serving
from tests.builders import unique_id


@pytest.fixture(scope="module")
async def strict(mongo: str) -> AsyncIterator[Api]:
    """A context API as it is when the operator says nothing of addresses but permits one host."""
    async with serving(Settings(mongodb_uri=mongo, database="addresses", notify_addresses="public,pilot")) as api:
        yield api


def endpoint(uri: str) -> dict[str, object]:
    return {"notification": {"endpoint": {"uri": uri}}}


def subscription(uri: str) -> dict[str, object]:
    return {"id": unique_id("Subscription"), "type": "Subscription", "entities": [{"type": "Room"}], **endpoint(uri)}


@pytest.mark.clause("5.8.1")
@pytest.mark.parametrize(
    "uri",
    [
        "http://ali:hush@127.0.0.1:9/",
        "https://localhost/",
        "mqtt://ali:hush@10.0.0.1/t",
        "http://[::1]/",
        "http://127.1/",
    ],
)
async def test_private_addresses_are_refused_with_the_way_out(strict: Api, uri: str) -> None:
    status, _, problem = await strict("POST", "subscriptions", subscription(uri))
    assert status == 400
    assert "MEDINA_NOTIFY_ADDRESSES=public,pilot," in problem["detail"]
    assert "hush" not in str(problem)


@pytest.mark.parametrize("uri", ["http://pilot:8080/notify", "https://city.example/", "mqtts://8.8.8.8/t", "stream:"])
async def test_others_are_not(strict: Api, uri: str) -> None:
    assert (await strict("POST", "subscriptions", subscription(uri)))[0] == 201


@pytest.mark.clause("5.8.2")
async def test_a_patch_is_checked_likewise(strict: Api) -> None:
    body = subscription("http://pilot:8080/notify")
    await strict("POST", "subscriptions", body)
    path = f"subscriptions/{body['id']}"
    assert (await strict("PATCH", path, endpoint("http://169.254.169.254/latest")))[0] == 400
    assert (await strict("PATCH", path, endpoint("http://pilot/other")))[0] == 204
