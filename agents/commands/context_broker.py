"""What commands need of the context broker besides batches: their attributes, their subscriptions, values to read.

Source: ETSI GS CIM 009, clauses 5.6.3 (append attributes), 5.6.1 (create entity), 5.8 (subscriptions).
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import aiohttp
import orjson

from agents.commands.command import INFO, NO_INFO, STATUS, UNKNOWN
from agents.commands.notified import idle
from agents.commands.store import Kind, Subscribed
from agents.errors import BrokerUnavailable
from agents.specification import Target

TIMEOUT_S = 5.0
_API = "/ngsi-ld/v1"
_SHOWN_CHARACTERS = 200


class ContextBroker:
    """Requests to the context broker that are answered or fail: `BrokerUnavailable`. All can be repeated."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Make the session."""
        connector = aiohttp.TCPConnector(limit=4, keepalive_timeout=4)
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        self._session = aiohttp.ClientSession(connector=connector, timeout=timeout, skip_auto_headers=["User-Agent"])

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def make_attributes(self, target: Target, entity_id: str, type_: str, names: Collection[str]) -> None:
        """See that an entity has the attributes of these commands; those that it has stay as they are."""
        attributes: dict[str, object] = {}
        for name in names:
            values = {name: idle(), name + STATUS: UNKNOWN, name + INFO: NO_INFO}
            attributes |= {each: {"type": "Property", "value": value} for each, value in values.items()}
        path = f"/entities/{quote(entity_id, safe=':')}/attrs"
        for _ in range(2):  # another may create the entity in between
            if await self._ask("POST", path, target, attributes, {204, 207, 404}, options="noOverwrite") != 404:
                return
            if await self._ask("POST", "/entities", target, {"id": entity_id, "type": type_, **attributes}, {201, 409}):
                continue

    async def follow(
        self, subscription_id: str, kind: Kind, entity_id: str, names: Sequence[str], address: str
    ) -> None:
        """Make the subscription to attributes of one entity, or make the one there is like this."""
        members: dict[str, Any] = {
            "subscriptionName": f"Configuration of {entity_id}",
            "description": "Made and kept by the IoT agent",
            "entities": [{"id": entity_id, "type": kind.entity_type}],
            "watchedAttributes": list(names),
            "notification": {
                "attributes": list(names),
                "endpoint": {"uri": address, "accept": "application/json"},
            },
        }
        await self._subscribe(subscription_id, kind.target, members)

    async def subscribe(self, subscribed: Subscribed) -> None:
        """Make the subscription, or make the one there is like this."""
        watched = list(subscribed.names)
        members: dict[str, Any] = {
            "subscriptionName": f"Commands of {subscribed.kind.entity_type}",
            "description": "Made and kept by the IoT agent",
            "entities": [{"type": subscribed.kind.entity_type}],
            "watchedAttributes": watched,
            "notification": {
                "attributes": watched,
                "sysAttrs": True,
                "showChanges": True,
                "endpoint": {"uri": subscribed.address, "accept": "application/json"},
            },
        }
        await self._subscribe(subscribed.id, subscribed.kind.target, members)

    async def _subscribe(self, id_: str, target: Target, members: Mapping[str, object]) -> None:
        whole = {"id": id_, "type": "Subscription", **members}
        if await self._ask("POST", "/subscriptions", target, whole, {201, 409}) == 409:
            path = f"/subscriptions/{quote(id_, safe=':')}"
            await self._ask("PATCH", path, target, {**members, "isActive": True}, {204})

    async def is_subscribed(self, subscription_id: str, target: Target) -> bool:
        """Whether the subscription is there."""
        path = f"/subscriptions/{quote(subscription_id, safe=':')}"
        return await self._ask("GET", path, target, None, {200, 404}) == 200

    async def unsubscribe(self, subscription_id: str, kind: Kind) -> None:
        """Delete the subscription, if it is there."""
        path = f"/subscriptions/{quote(subscription_id, safe=':')}"
        await self._ask("DELETE", path, kind.target, None, {204, 404})

    async def values(self, target: Target, entity_id: str, names: Sequence[str]) -> Mapping[str, object]:
        """Return the values of attributes of an entity, as far as there are any."""
        query = {"attrs": ",".join(names), "options": "keyValues"}
        path = f"/entities/{quote(entity_id, safe=':')}"
        try:
            async with self._opened.get(
                self._url + _API + path, params=query, headers=_headers(target, has_body=False)
            ) as answer:
                body = orjson.loads(await answer.read()) if answer.status == 200 else {}
        except (aiohttp.ClientError, TimeoutError, orjson.JSONDecodeError) as error:
            raise BrokerUnavailable(f"GET {path}: {type(error).__name__}: {error}") from error
        return {name: value for name, value in body.items() if name in names}

    async def _ask(
        self, method: str, path: str, target: Target, body: object, expected: Collection[int], **query: str
    ) -> int:
        """Send a request and return the status, if it is an expected one."""
        content = None if body is None else orjson.dumps(body)
        headers = _headers(target, has_body=body is not None)
        try:
            async with self._opened.request(
                method, self._url + _API + path, params=query, data=content, headers=headers, allow_redirects=False
            ) as answer:
                if answer.status in expected:
                    return answer.status
                told = (await answer.text(errors="replace"))[:_SHOWN_CHARACTERS]
        except (aiohttp.ClientError, TimeoutError) as error:
            raise BrokerUnavailable(f"{method} {path}: {type(error).__name__}: {error}") from error
        raise BrokerUnavailable(f"{method} {path}: {answer.status} {told}")

    @property
    def _opened(self) -> aiohttp.ClientSession:
        assert self._session is not None, "open() comes first"
        return self._session


def _headers(target: Target, *, has_body: bool) -> dict[str, str]:
    headers = {"Content-Type": "application/json"} if has_body else {}
    if target.context:
        headers["Link"] = f'<{target.context}>; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"'
    if target.tenant:
        headers["NGSILD-Tenant"] = target.tenant
    return headers
