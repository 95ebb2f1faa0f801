"""A small client of any NGSI-LD API (ETSI GS CIM 009), as much of it as pilots need."""

import json
import os
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import aiohttp
import orjson

from pilots.errors import ApiRefused, ApiUnavailable

JsonObject = dict[str, Any]

PAGE_SIZE: Final = 500
TIMEOUT: Final = aiohttp.ClientTimeout(total=10, connect=3)
JSONLD_CONTEXT_REL: Final = 'rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"'


class ContextApi:
    """The API at `root` for one tenant, with one @context for all requests.

    Every method raises ApiUnavailable when no answer comes and ApiRefused when the answer is an error.
    """

    def __init__(self, session: aiohttp.ClientSession, root: str, context_url: str, tenant: str = "") -> None:
        self._session = session
        self._root = root
        self._base = f"{root}/ngsi-ld/v1"
        self._headers = {"Accept": "application/json", "Link": f"<{context_url}>; {JSONLD_CONTEXT_REL}"}
        if tenant:
            self._headers["NGSILD-Tenant"] = tenant

    async def query(self, type_: str, q: str | None = None) -> AsyncIterator[JsonObject]:
        """Query Entities (5.7.2): all entities of a type, page by page, normalized."""
        parameters = {"type": type_, "limit": str(PAGE_SIZE)} | ({"q": q} if q else {})
        offset = 0
        while True:
            page = await self._request("GET", "/entities", {**parameters, "offset": str(offset)})
            for entity in page:
                yield entity
            if len(page) < PAGE_SIZE:
                return
            offset += PAGE_SIZE

    async def upsert(self, entities: list[JsonObject], replace: bool = False) -> None:
        """Batch Entity Upsert (5.6.8): add to what is there, or with `replace` put the entities in its place."""
        options = {"options": "replace" if replace else "update"}
        outcome = await self._request("POST", "/entityOperations/upsert", options, entities)
        if isinstance(outcome, dict) and outcome.get("errors"):
            raise ApiRefused("POST /entityOperations/upsert", 207, json.dumps(outcome["errors"]))

    async def subscription(self, id_: str) -> JsonObject | None:
        """Retrieve Subscription (5.8.3); None if there is none of this id."""
        try:
            found = await self._request("GET", f"/subscriptions/{id_}")
        except ApiRefused as error:
            if error.status == 404:
                return None
            raise
        assert isinstance(found, dict)
        return found

    async def subscribe(self, subscription: JsonObject) -> bool:
        """Make sure that this subscription (with an id) exists as it is; True if it had to be created (5.8.1)."""
        found = await self.subscription(subscription["id"])
        if found is not None:
            if agrees(subscription, found):
                return False
            await self._request("DELETE", f"/subscriptions/{subscription['id']}", missing_is_fine=True)
        try:
            await self._request("POST", "/subscriptions", body=subscription)
        except ApiRefused as error:
            # Another replica of this pilot was faster; the next check compares its subscription with ours.
            if error.status != 409:
                raise
        return True

    async def _request(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, str] | None = None,
        body: object = None,
        missing_is_fine: bool = False,
    ) -> Any:
        headers = self._headers | ({"Content-Type": "application/json"} if body is not None else {})
        content = None if body is None else orjson.dumps(body)
        try:
            async with self._session.request(
                method, self._base + path, params=parameters, data=content, headers=headers, timeout=TIMEOUT
            ) as answer:
                received = await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ApiUnavailable(f"{self._root} does not answer ({_reason(error)}).") from error
        if answer.status >= 400 and not (missing_is_fine and answer.status == 404):
            raise ApiRefused(f"{method} {path}", answer.status, received.decode(errors="replace"))
        return _parsed(f"{method} {path}", answer.status, received)


def agrees(wanted: object, found: object) -> bool:
    """Whether `found` says all that `wanted` says; it may say more, such as counters and defaults."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(name in found and agrees(wanted[name], found[name]) for name in wanted)
    if isinstance(wanted, list):
        return (
            isinstance(found, list)
            and len(wanted) == len(found)
            and all(agrees(mine, theirs) for mine, theirs in zip(wanted, found, strict=True))
        )
    return wanted == found


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, aiohttp.ClientConnectorError):
        return os.strerror(error.os_error.errno).lower() if error.os_error.errno else str(error.os_error)
    return str(error) or type(error).__name__


def _parsed(request: str, status: int, received: bytes) -> Any:
    if not received:
        return None
    try:
        return orjson.loads(received)
    except orjson.JSONDecodeError as error:
        raise ApiRefused(request, status, "an answer that is not JSON") from error
