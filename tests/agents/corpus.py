"""The corpus: messages as devices send them, each with the entities it makes or the reason why it makes none.

A file holds `topic` or `route` (of the HTTP port), one of `payload` (JSON), `payload_text` and `payload_hex`, and
either `entities` or `reason` and `detail`. All are received at `RECEIVED_AT` by an agent with the devices of the
campus, `open-devices.toml` and `vendors.toml`.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agents.conversion import Converted, Converter
from agents.device_file import load_device_files
from agents.profile import BUNDLED, Profile, load_profiles
from agents.pseudonyms import Pseudonyms
from agents.registry import Registry
from agents.routing import Router

FOLDER = Path(__file__).parent.parent / "corpus"
DEVICE_FILES = (
    Path(__file__).parent.parent.parent / "pilots" / "campus" / "devices.toml",
    FOLDER / "open-devices.toml",
    FOLDER / "vendors.toml",
)
RECEIVED_AT = datetime(2026, 4, 2, 8, 0, 5, tzinfo=UTC)
PSEUDONYMS = Pseudonyms(b"key of the corpus")


@dataclass(frozen=True)
class Case:
    """One message and what is to come of it."""

    name: str
    protocol: str
    topic: str
    """The topic, or the path of the HTTP port."""
    payload: bytes
    entities: list[dict[str, Any]] | None
    refusal: tuple[str, str] | None
    """Reason and detail."""

    def __str__(self) -> str:
        return self.name


def read_case(path: Path) -> Case:
    content = json.loads(path.read_text(encoding="utf-8"))
    if "payload_hex" in content:
        payload = bytes.fromhex(content["payload_hex"])
    else:
        payload = content.get("payload_text", json.dumps(content.get("payload"))).encode()
    refusal = (content["reason"], content["detail"]) if "reason" in content else None
    name = f"{path.parent.parent.name}/{path.parent.name}/{path.stem}"
    address = content.get("topic") or content["route"]
    entities = content.get("entities")
    return Case(name, path.parent.parent.name, address, payload, entities, refusal)


CASES = [read_case(path) for path in sorted(FOLDER.glob("*/*/*.json"))]
PROFILES: dict[str, Profile] = load_profiles(BUNDLED)
ROUTER = Router(PROFILES.values())


REGISTRY = Registry(PROFILES, [load_device_files(DEVICE_FILES, PROFILES)], PSEUDONYMS)


def new_converter(pseudonyms: Pseudonyms = PSEUDONYMS) -> Converter:
    """A converter that has seen nothing yet."""
    registry = Registry(PROFILES, [load_device_files(DEVICE_FILES, PROFILES)], pseudonyms)
    return Converter(ROUTER, registry)


def profile_at(address: str) -> Profile:
    """The profile that reads a topic, or a path of the HTTP port."""
    return (ROUTER.at_path(address) or ROUTER.route(address)).profile


def profiles_of(case: Case) -> list[str]:
    """The profile that reads a case; several where nobody knows the device."""
    route = ROUTER.at_path(case.topic) or ROUTER.route(case.topic)
    key = (route.parts.get("apikey", ""), route.parts.get("device", ""))
    knowing = [profile.name for profile in route.profiles if REGISTRY.knows(profile.name, *key)]
    return knowing or [profile.name for profile in route.profiles]


def convert(converter: Converter, address: str, payload: bytes) -> Converted:
    """What the converter makes of a message, whether it came by a topic or by a profile's route."""
    route = ROUTER.at_path(address)
    if route is None:
        return converter.convert(address, payload, RECEIVED_AT)
    return converter.convert_as(route.profile, route.parts, payload, RECEIVED_AT)


def converted(case: Case) -> list[dict[str, Any]]:
    """The entities a fresh agent makes of a case."""
    fragments = convert(new_converter(), case.topic, case.payload).fragments
    return [json.loads(fragment.body) for fragment in fragments]
