"""What an endpoint keeps to itself: values that may be credentials are used, and never shown again.

Shown are the values of receiverInfo and notifierInfo under the keys below, which carry no credentials in any use. All
others are shown as `***`, and so is a password in the URI. A client that reads a subscription, changes something else
and sends it back sends these along: they then stand for the value that is there already, as long as the server stays.
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ngsi.errors import BadRequestData

HIDDEN = "***"

_HARMLESS = frozenset(
    {
        "accept",
        "accept-encoding",
        "accept-language",
        "backlog",
        "content-language",
        "content-type",
        "fiware-correlator",
        "fiware-service",
        "fiware-servicepath",
        "from",
        "link",
        "mqtt-qos",
        "mqtt-version",
        "ngsild-snapshot",
        "ngsild-tenant",
        "ngsildconformance",
        "prefer",
        "traceparent",
        "user-agent",
        "via",
        "x-correlation-id",
        "x-request-id",
    }
)
_PASSWORD = re.compile(r"(://[^/?#@:]*):[^/?#]*(?=@)")
_INFO = ("receiverInfo", "notifierInfo")


def shown(endpoint: Mapping[str, Any]) -> dict[str, Any]:
    """The endpoint as clients read it."""
    public = {**endpoint, "uri": _shown_uri(endpoint["uri"])}
    for member in _INFO:
        if member in endpoint:
            public[member] = [pair if _is_harmless(pair) else {**pair, "value": HIDDEN} for pair in endpoint[member]]
    return public


def keep_hidden(endpoint: Mapping[str, Any], former: Mapping[str, Any]) -> dict[str, Any]:
    """The endpoint that takes the place of a former one, with the former values where `***` stands for them.

    BadRequestData if it is another server: nobody can have the credentials of one sent to another.
    """
    kept = dict(endpoint)
    if endpoint["uri"] == _shown_uri(former["uri"]):
        kept["uri"] = former["uri"]
    for member in _INFO:
        if member in endpoint:
            values = {pair["key"]: pair["value"] for pair in former.get(member, ())}
            kept[member] = [
                {**pair, "value": values.get(pair["key"], HIDDEN)} if pair["value"] == HIDDEN else pair
                for pair in endpoint[member]
            ]
            if kept[member] != endpoint[member] and _server(kept["uri"]) != _server(former["uri"]):
                raise BadRequestData(
                    f"notification.endpoint.{member}: {HIDDEN} stands for a value that is there, which is kept for the "
                    "same server only; give the values for the new one"
                )
    return kept


def _server(uri: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(uri)
    return parts.scheme, parts.hostname, parts.port


def _shown_uri(uri: str) -> str:
    return _PASSWORD.sub(rf"\1:{HIDDEN}", uri, count=1)


def _is_harmless(pair: Mapping[str, str]) -> bool:
    return pair["key"].lower() in _HARMLESS
