"""Entities that tests work with."""

import itertools
from typing import Any

_numbers = itertools.count()


def unique_id(kind: str = "Room") -> str:
    """An entity id that no other test of this run uses."""
    return f"urn:ngsi-ld:{kind}:{next(_numbers)}"


def room(entity_id: str | None = None, **attributes: Any) -> dict[str, Any]:
    """A Room with a temperature, normalized; keyword arguments add or replace attributes."""
    return {
        "id": entity_id or unique_id(),
        "type": "Room",
        "temperature": {"type": "Property", "value": 21.5, "unitCode": "CEL", "observedAt": "2026-03-01T08:30:00Z"},
        **attributes,
    }
