"""What an endpoint keeps to itself: values that may be credentials are used, and never shown again.

Shown are the values of receiverInfo and notifierInfo under the keys below, which carry no credentials in any use. All
others are shown as `***`, and so is a password in the URI. A client that reads a subscription, changes something else
and sends it back sends these along: they then stand for the value that is there already.
"""

import re
from collections.abc import Mapping
from typing import Any

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
    """The endpoint that takes the place of a former one, with the former values where `***` stands for them."""
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
    return kept


def _shown_uri(uri: str) -> str:
    return _PASSWORD.sub(rf"\1:{HIDDEN}", uri, count=1)


def _is_harmless(pair: Mapping[str, str]) -> bool:
    return pair["key"].lower() in _HARMLESS
