"""Subscriptions whose endpoint is where notifications may not go are refused when they are made.

Only addresses written out can be judged here; what a name stands for is judged at each connection (broker.web_address).
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from broker.address_rule import address_rule
from ngsi.errors import BadRequestData
from ngsi.names import show


def require_permitted_endpoint(subscription: Mapping[str, Any], permitted: str) -> None:
    """Checks the endpoint of a subscription's members; `permitted` is the text of MEDINA_NOTIFY_ADDRESSES."""
    host = urlsplit(subscription["notification"]["endpoint"]["uri"]).hostname
    if host is None:
        return
    address = address_rule(permitted).refused(host)
    if address is not None:
        extended = ",".join(part for part in (permitted.strip(" ,"), address) if part)
        raise BadRequestData(
            f"notification.endpoint.uri: {show(host)} is not among the addresses to which the operator of this broker "
            f"lets notifications go; MEDINA_NOTIFY_ADDRESSES={extended} would permit it"
        )
