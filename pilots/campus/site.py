"""What is fixed about the site: its @context, its clock, its zones."""

import tomllib
from datetime import timedelta, timezone
from pathlib import Path
from typing import Final

from pilots.campus.model import Zone

CONTEXT_URL: Final = "https://medina.example/campus/context.jsonld"
# Morocco keeps UTC+1 (UTC during Ramadan); a fixed offset needs no zone database in the container.
SITE_TIME: Final = timezone(timedelta(hours=1))
ZONES_FILE: Final = Path(__file__).with_name("zones.toml")


def site_zones(path: Path = ZONES_FILE) -> list[Zone]:
    """The zones of the site as its operator describes them."""
    rows = tomllib.loads(path.read_text(encoding="utf-8"))["zone"]
    return [
        Zone(
            id=zone_id(row["id"]),
            name=row["name"],
            capacity=row.get("capacity"),
            inside=zone_id(row["inside"]) if "inside" in row else None,
            location=(row["location"][0], row["location"][1]) if "location" in row else None,
        )
        for row in rows
    ]


def zone_id(name: str) -> str:
    """The entity id of a zone."""
    return f"urn:ngsi-ld:Zone:{name}"
