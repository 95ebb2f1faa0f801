"""What goes to the context broker."""

from collections.abc import Mapping
from typing import NamedTuple

import orjson

from agents.specification import Target


class Fragment(NamedTuple):
    """Some attributes of one entity, to be merged into it: its JSON text, and where it belongs."""

    entity_id: str
    body: bytes
    target: Target


def json_of(entity: Mapping[str, object]) -> bytes:
    """Return the JSON of an entity; `orjson.JSONEncodeError` when there is none.

    A copy, since thousands may wait for the context broker: what orjson returns keeps its buffer of 4 kB.
    """
    return b"%b" % orjson.dumps(entity)
