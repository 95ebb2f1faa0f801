"""What somebody wants to try, put together from names and files: for the command line and for the API."""

import secrets
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from agents.device_file import load_device_files, profile_folders
from agents.errors import ConfigurationError
from agents.profile import BUNDLED, Profile, load_profile, load_profiles
from agents.pseudonyms import KEY_BYTES, Pseudonyms
from agents.registry import Source
from agents.settings import read_settings
from agents.specification import Scalar
from agents.trial import Question

_PROFILE_FILE = ".toml"
_WORDS: dict[str, Scalar] = {"true": True, "false": False}


class Asked(NamedTuple):
    """The words of a question."""

    profile: str
    """Name of a profile, or a profile file."""
    payload: bytes
    address: str = ""
    device: str = ""
    entity_type: str = ""
    device_file: Path | None = None
    settings: tuple[str, ...] = ()
    """NAME=VALUE each."""
    at: str = ""


def question_of(asked: Asked) -> Question:
    """Return the question; `ConfigurationError` says which word cannot be understood."""
    profiles = known_profiles(asked.device_file)
    profile = _profile(asked.profile, profiles)
    devices: Source | None = None
    if asked.device_file is not None:
        devices = load_device_files([asked.device_file], {**profiles, profile.name: profile}, read_settings().tenant)
    return Question(
        profile=profile,
        payload=asked.payload,
        received_at=moment(asked.at),
        address=asked.address,
        device=asked.device,
        entity_type=asked.entity_type,
        settings=dict(_settings(asked.settings)),
        devices=devices,
        secrets=read_settings().keys(),
    )


def known_profiles(device_file: Path | None = None) -> dict[str, Profile]:
    """Return the profiles by name: those that come with Medina, and those of the folder that a device file names."""
    return load_profiles(BUNDLED, *(profile_folders([device_file]) if device_file is not None else ()))


def pseudonyms() -> Pseudonyms:
    """Return the operator's pseudonyms, or, without a key, some that are of no use to anybody."""
    settings = read_settings()
    return Pseudonyms(settings.key() or secrets.token_bytes(KEY_BYTES), settings.tenant)


def moment(text: str) -> datetime:
    """Return a time of reception, UTC where it states no zone; now for an empty text."""
    if not text:
        return datetime.now(UTC)
    try:
        stated = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(f"{text!r} is no ISO 8601 time; write it like 2026-04-02T08:00:00Z") from None
    return stated.astimezone(UTC) if stated.tzinfo else stated.replace(tzinfo=UTC)


def _profile(name: str, profiles: dict[str, Profile]) -> Profile:
    if name.endswith(_PROFILE_FILE):
        return load_profile(Path(name))
    if name not in profiles:
        known = ", ".join(sorted(profiles))
        raise ConfigurationError(f"There is no profile {name!r}; there are {known}, or name a file *.toml")
    return profiles[name]


def _settings(given: Iterable[str]) -> Iterable[tuple[str, Scalar]]:
    for item in given:
        name, mark, text = item.partition("=")
        if not mark or not name:
            raise ConfigurationError(f"--set {item}: write it as NAME=VALUE")
        yield name, _scalar(text)


def _scalar(text: str) -> Scalar:
    if text in _WORDS:
        return _WORDS[text]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
