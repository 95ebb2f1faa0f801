"""Entities and their changes as documents of the collection `entities`, both ways.

{_id, type: [keys], scope?: [...], createdAt, modifiedAt, expiresAt?, due?, attrs: {key: [Instance]},
 geo?: [cells, see mongo_geo], values?: [see mongo_values], rev, bucket, changes: [...]}

A deleted entity leaves a tombstone {_id, rev, bucket, deletedAt, gone: date, changes}, so that the deletion reaches the
change stream like any other write and the revision goes on counting; a TTL index on `gone` removes it later.
"""

import zlib
from datetime import datetime
from typing import Any

from broker.storage.base import Stored, Write
from broker.storage.mongo_geo import cells
from broker.storage.mongo_values import entries
from ngsi import expiry
from ngsi.changes import Before, Change
from ngsi.entity import Entity

BUCKET_COUNT = 64

Document = dict[str, Any]


def bucket(entity_id: str) -> int:
    """The partition of an entity id, 0 to 63: what notifiers share the work by."""
    return zlib.crc32(entity_id.encode()) % BUCKET_COUNT


def document(write: Write, now: datetime) -> Document:
    """The document of a write; its revision is one more than the one it replaces."""
    entity = write.entity
    changes = [_change_document(change) for change in write.changes]
    if entity is None:
        return {
            "_id": write.id,
            "rev": write.rev + 1,
            "bucket": bucket(write.id),
            "deletedAt": write.changes[-1].at,
            "gone": now,
            "changes": changes,
        }
    stored: Document = {
        "_id": write.id,
        "type": entity.types,
        "createdAt": entity.created_at,
        "modifiedAt": entity.modified_at,
        "attrs": entity.attributes,
        "rev": write.rev + 1,
        "bucket": bucket(write.id),
        "changes": changes,
    }
    if entity.scopes:
        stored["scope"] = entity.scopes
    if entity.expires_at is not None:
        stored["expiresAt"] = entity.expires_at
    if write.due is not None:
        stored["due"] = write.due
    listed = entries(entity)
    if listed:
        stored["values"] = listed
    located = cells(entity.attributes)
    if located:
        stored["geo"] = located
    return stored


def stored(document: Document) -> Stored:
    """The state that a document holds."""
    return Stored(entity(document), document["rev"], document.get("due"))


def entity(document: Document) -> Entity | None:
    """The entity that a document holds, None for a tombstone."""
    if "type" not in document:
        return None
    return Entity(
        document["_id"],
        document["type"],
        document["createdAt"],
        document["modifiedAt"],
        document["attrs"],
        document.get("scope", []),
        document.get("expiresAt"),
    )


def living(document: Document, now: str) -> Entity | None:
    """What of the entity that a document holds has not expired (`ngsi.expiry`)."""
    held = entity(document)
    if held is None or "due" not in document or document["due"] > now:
        return held
    return expiry.living(held, now)


def changes(document: Document) -> list[Change]:
    """The changes that a document carries, oldest first."""
    return [_change(change) for change in document["changes"]]


def _change_document(change: Change) -> Document:
    written: Document = {"request": change.request, "at": change.at, "event": change.event}
    if change.attributes:
        written["attributes"] = change.attributes
    if change.previous:
        written["previous"] = change.previous
    if change.parts > 1:
        written["parts"] = change.parts
    before = change.before
    if before is not None:
        written["before"] = {
            "type": before.types,
            "scope": before.scopes,
            "createdAt": before.created_at,
            "modifiedAt": before.modified_at,
            "expiresAt": before.expires_at,
            "attrs": before.attributes,
        }
    return written


def _change(written: Document) -> Change:
    before = written.get("before")
    return Change(
        written["request"],
        written["at"],
        written["event"],
        [tuple(item) for item in written.get("attributes", [])],
        None
        if before is None
        else Before(
            before["attrs"],
            before["type"],
            before["scope"],
            before["modifiedAt"],
            before["createdAt"],
            before["expiresAt"],
        ),
        written.get("previous", []),
        written.get("parts", 1),
    )
