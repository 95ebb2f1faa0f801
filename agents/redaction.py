"""What of a refused payload may be looked at.

Payloads of profiles that bear identity are shown as their structure: which known fields there are and of what type, no
value at all, since a broken message may carry anything anywhere. Names of fields that the profile does not know are
hidden for the same reason. What cannot be parsed is told by its length and a keyed fingerprint. Other payloads are cut.
"""

import orjson

from agents.profile import Profile
from agents.protocols.base import json_type
from agents.pseudonyms import Pseudonyms

SHOWN_CHARACTERS = 200
_SHOWN_ITEMS = 5
_SHOWN_DEPTH = 6
_STRUCTURE = frozenset({"message", "event", "Data", "Source", "SimpleItem", "Name", "Value", "hmac"})
_HIDDEN = "…"


def shown(payload: bytes, profile: Profile | None, pseudonyms: Pseudonyms) -> str:
    """Return the payload as it may be logged and kept: at most `SHOWN_CHARACTERS` and a note of its length."""
    if profile is None or profile.bears_identity:
        text = _masked(payload, profile, pseudonyms)
    else:
        text = payload[:SHOWN_CHARACTERS].decode("utf-8", "backslashreplace")
    if len(text) > SHOWN_CHARACTERS or len(payload) > SHOWN_CHARACTERS:
        text = f"{text[:SHOWN_CHARACTERS]}… ({len(payload)} bytes)"
    return text


def shown_topic(topic: str, profile: Profile | None) -> str:
    """Return the topic as it may be logged and kept: parts that the profile calls sensitive are hidden."""
    if profile is None or profile.fields is None:
        return topic
    sensitive = frozenset(profile.fields.sensitive)
    for scheme in profile.topics:
        if sensitive.intersection(scheme.names) and (parts := scheme.parse(topic)) is not None:
            return scheme.format(**{name: _HIDDEN if name in sensitive else part for name, part in parts.items()})
    return topic


def _masked(payload: bytes, profile: Profile | None, pseudonyms: Pseudonyms) -> str:
    unseen = f"{len(payload)} bytes, fingerprint {pseudonyms.fingerprint(payload)}"
    if profile is None or profile.fields is None:
        return unseen
    try:
        body = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return unseen
    return orjson.dumps(_structure(body, profile.allowed | _STRUCTURE, 0)).decode()


def _structure(value: object, known: frozenset[str], depth: int) -> object:
    if depth == _SHOWN_DEPTH:
        return _HIDDEN
    if isinstance(value, list):
        return [_structure(item, known, depth + 1) for item in value[:_SHOWN_ITEMS]]
    if isinstance(value, dict):
        return {name if name in known else _HIDDEN: _structure(value[name], known, depth + 1) for name in value}
    return f"text of {len(value)}" if isinstance(value, str) else json_type(value)
