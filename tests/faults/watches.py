"""The meters that are updated, and ten subscriptions to them, each with what it is to be told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

METERS = 50
RECEIVERS = ("receiver-a", "receiver-b", "receiver-c")
_VALVES = 5  # the first meters are valves, too


def meter_id(number: int) -> str:
    """The entity of a meter."""
    return f"urn:ngsi-ld:Meter:{number:02}"


def meter(number: int) -> dict[str, Any]:
    """A meter before its first update."""
    types = ["Meter", "Valve"] if number < _VALVES else "Meter"
    return {"id": meter_id(number), "type": types, **update(-1)}


def update(n: int) -> dict[str, Any]:
    """The attributes of a meter's n-th update."""
    return {
        "n": {"type": "Property", "value": n},
        "even": {"type": "Property", "value": n % 2 == 0},
        "text": {"type": "Property", "value": f"reading {n}"},
    }


@dataclass(frozen=True)
class Watch:
    """A subscription: its members, which receiver it has, and whether the n-th update of a meter is told to it."""

    name: str
    receiver: str
    members: dict[str, Any]
    parameters: dict[str, Any]
    wants: Callable[[int, int], bool] = lambda meter, n: True

    @property
    def id(self) -> str:
        """The subscription's id."""
        return f"urn:ngsi-ld:Subscription:{self.name}"

    def body(self, port: int) -> dict[str, Any]:
        """What is sent to create it, for a receiver on this port."""
        endpoint = {"uri": f"http://127.0.0.1:{port}/", **self.parameters.get("endpoint", {})}
        body = {"id": self.id, "type": "Subscription", "entities": [{"type": "Meter"}], **self.members}
        return {**body, "notification": {**self.parameters, "endpoint": endpoint}}


_FEW = range(10, 20)

WATCHES = (
    Watch("all", RECEIVERS[0], {}, {}),
    Watch("key-values", RECEIVERS[1], {}, {"format": "keyValues"}),
    Watch("watched", RECEIVERS[2], {"watchedAttributes": ["n"]}, {}),
    Watch(
        "pattern",
        RECEIVERS[0],
        {"entities": [{"type": "Meter", "idPattern": "^urn:ngsi-ld:Meter:.*[02468]$"}]},
        {},
        lambda meter, n: meter % 2 == 0,
    ),
    Watch(
        "ids",
        RECEIVERS[1],
        {"entities": [{"type": "Meter", "id": [meter_id(number) for number in _FEW]}]},
        {},
        lambda meter, n: meter in _FEW,
    ),
    Watch("query", RECEIVERS[2], {"q": "even==true"}, {}, lambda meter, n: n % 2 == 0),
    Watch("triggers", RECEIVERS[0], {"notificationTrigger": ["entityUpdated"]}, {}),
    Watch("ld-json", RECEIVERS[1], {}, {"endpoint": {"accept": "application/ld+json"}}),
    Watch("valves", RECEIVERS[2], {"entities": [{"type": "Valve"}]}, {}, lambda meter, n: meter < _VALVES),
    Watch("few-attributes", RECEIVERS[0], {}, {"attributes": ["n"], "sysAttrs": True}),
)
