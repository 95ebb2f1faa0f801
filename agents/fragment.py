"""What goes to the context broker."""

from typing import NamedTuple

from agents.specification import Target


class Fragment(NamedTuple):
    """Some attributes of one entity, to be merged into it: its JSON text, and where it belongs."""

    entity_id: str
    body: bytes
    target: Target
