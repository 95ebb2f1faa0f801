"""The entities of the benchmarks: thermal cameras, four attributes with metadata."""

from __future__ import annotations

from typing import Any

COUNT = 1_000
OBSERVED_AT = "2026-03-02T08:15:30.250Z"


def camera_id(number: int) -> str:
    """URN of camera `number`."""
    return f"urn:ngsi-ld:ThermalCamera:cam-{number:04d}"


def camera(entity_id: str, temperature: float = 34.2) -> dict[str, Any]:
    """Normalized representation."""
    return {
        "id": entity_id,
        "type": "ThermalCamera",
        "temperature": {"type": "Property", "value": temperature, "unitCode": "CEL", "observedAt": OBSERVED_AT},
        "ambientTemperature": {"type": "Property", "value": 22.5, "unitCode": "CEL", "observedAt": OBSERVED_AT},
        "peopleCount": {"type": "Property", "value": 12, "observedAt": OBSERVED_AT},
        "zone": {"type": "Relationship", "object": "urn:ngsi-ld:Zone:gate", "observedAt": OBSERVED_AT},
    }
