"""Batch upsert that keeps newer values: an attribute is not overwritten by one that was observed earlier.

Not in the standard, which leaves the order of observations to the client. A client with several writers, or one that
repeats requests, cannot keep it without a race: only where the entity is written is it known what is there.
"""

from collections.abc import Sequence
from dataclasses import replace

from ngsi.datetimes import parse
from ngsi.document import Fragment
from ngsi.entity import Entity, Instance
from ngsi.patch import Patched, upsert

_FIXED_LENGTH = len("2026-01-01T00:00:00.000Z")


def upsert_newer(fragment: Fragment, entity: Entity | None, now: str) -> Patched:
    """As `patch.upsert`, without the instances whose `observedAt` is before that of the instance that is there.

    An instance without `observedAt`, or in the place of one without, is written. Equal times: the later request wins.
    """
    if entity is None:
        return upsert(fragment, entity, now)
    attributes = {}
    for key, instances in fragment.attributes.items():
        known = entity.attributes.get(key)
        if known is None:
            attributes[key] = instances
        elif kept := [instance for instance in instances if not _is_overtaken(instance, known)]:
            attributes[key] = kept
    return upsert(replace(fragment, attributes=attributes), entity, now)


def _is_overtaken(instance: Instance, known: Sequence[Instance]) -> bool:
    at = instance.get("observedAt")
    if at is None:
        return False
    name = instance.get("datasetId")
    return any(
        other.get("datasetId") == name and (there := other.get("observedAt")) is not None and is_before(at, there)
        for other in known
    )


def is_before(at: str, other: str) -> bool:
    """Whether a DateTime is before another, with however many digits; False when one is no day of the calendar."""
    if at == other:
        return False
    if len(at) == len(other) == _FIXED_LENGTH:
        return at < other
    try:
        return parse(at) < parse(other)
    except ValueError:
        return False
