"""States that a subscription's throttling holds back: of each entity the newest that matched, nothing else.

They stand in the collection `deliveries`, of each tenant, beside what waits to be delivered:
{_id: "<subscription>/held/<entity id>", subscription, state: "held", sequence, at, is: the state}
`sequence` is the place of the change in the feed, so that an older state never takes the place of a newer one, however
often the feed is read again.
"""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pymongo import DeleteOne, UpdateOne

from broker.storage import mongo_documents as documents
from broker.storage.base import Write
from ngsi.changes import Change
from ngsi.entity import Entity

HELD = "held"
_FOR_INDEXES_AND_WRITERS = ("_id", "values", "geo", "bucket", "rev", "due")


@dataclass(slots=True)
class HeldState:
    """The state of an entity (before the change, for a deletion) that a subscription is to be told of."""

    subscription: str
    sequence: str
    at: str
    entity: Entity
    change: Change

    @property
    def id(self) -> str:
        """The document's `_id`."""
        return f"{self.subscription}/{HELD}/{self.entity.id}"


def holding(held: HeldState) -> UpdateOne:
    """Stores a state in place of an older one; fails as a duplicate where a newer one is."""
    state = documents.document(Write(held.entity.id, 0, held.entity, [held.change]), datetime.now(UTC))
    for member in _FOR_INDEXES_AND_WRITERS:
        state.pop(member, None)
    row = {
        "subscription": held.subscription,
        "state": HELD,
        "sequence": held.sequence,
        "at": held.at,
        "is": state | {"_id": held.entity.id},
    }
    return UpdateOne({"_id": held.id, "sequence": {"$lt": held.sequence}}, {"$set": row}, upsert=True)


def releasing(held: HeldState) -> DeleteOne:
    """Removes a state, unless a newer one has taken its place."""
    return DeleteOne({"_id": held.id, "sequence": held.sequence})


async def held_states(collection: Any, subscription: str) -> AsyncGenerator[HeldState]:
    """All that is held for a subscription, in the order of the feed."""
    async with collection.find({"subscription": subscription, "state": HELD}).sort("sequence", 1) as rows:
        async for row in rows:
            state = row["is"]
            entity = documents.entity(state)
            assert entity is not None, "a state is held as that of an entity"
            yield HeldState(subscription, row["sequence"], row["at"], entity, documents.changes(state)[-1])
