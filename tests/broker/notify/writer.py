"""Writes entities and subscriptions as the context API does: whole documents with their changes."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import count
from typing import Any

from pymongo import AsyncMongoClient, ReplaceOne, WriteConcern
from pymongo.asynchronous.client_session import AsyncClientSession

from broker.storage.base import Write
from broker.storage.mongo_documents import document
from broker.storage.mongo_tenants import database_name
from ngsi import subscription
from ngsi.changes import Before, Change
from ngsi.context import CORE, ContextSource
from ngsi.datetimes import system_text
from ngsi.entity import Entity, Instance
from ngsi.vocabulary import CORE_CONTEXT_URL

_numbers = count(1)


def now() -> str:
    """The present as a system timestamp."""
    return system_text(datetime.now(UTC))


def number_property(value: Any) -> Instance:
    """A Property with a value."""
    at = now()
    return {"type": "Property", "value": value, "unitCode": "CEL", "createdAt": at, "modifiedAt": at}


def entity(entity_id: str, **values: Any) -> Entity:
    """A Room with these attribute values."""
    at = now()
    attributes = {name: [number_property(value)] for name, value in values.items()}
    return Entity(entity_id, ["Room"], at, at, attributes)


def updated(old: Entity, request: str, **values: Any) -> tuple[Entity, Change]:
    """The entity with new values, and the change that led there."""
    at = now()
    attributes = old.attributes | {name: [number_property(value)] for name, value in values.items()}
    changes = [("updated" if name in old.attributes else "created", name, "@none") for name in values]
    before = Before(
        {name: old.attributes.get(name) for name in values}, old.types, [], old.modified_at, old.created_at, None
    )
    return (
        Entity(old.id, old.types, old.created_at, at, attributes),
        Change(request, at, "updated", changes, before),  # type: ignore[arg-type]  # the events are literals
    )


def created(made: Entity) -> tuple[Entity, list[Change]]:
    """A new entity and the change that made it."""
    return made, [Change(f"request-{next(_numbers)}", made.modified_at, "created")]


class Writer:
    """A client of one test's databases."""

    def __init__(self, client: AsyncMongoClient[dict[str, Any]], prefix: str, tenant: str = "") -> None:
        database = client[database_name(prefix, tenant)]
        durable = WriteConcern(w="majority", j=True)
        self.entities = database.get_collection("entities", write_concern=durable)
        self.subscriptions = database.get_collection("subscriptions", write_concern=durable)
        self.deliveries = database.get_collection("deliveries", write_concern=durable)
        self._revisions: dict[str, int] = {}

    async def write(self, *states: tuple[Entity, Sequence[Change]], session: AsyncClientSession | None = None) -> None:
        """One flush: each entity once, with all its changes."""
        operations = []
        for state, changes in states:
            revision = self._revisions.get(state.id, 0)
            self._revisions[state.id] = revision + 1
            replacement = document(Write(state.id, revision, state, list(changes)), datetime.now(UTC))
            operations.append(ReplaceOne({"_id": state.id}, replacement, upsert=True))
        await self.entities.bulk_write(operations, ordered=False, session=session)

    async def delete(self, state: Entity, request: str = "delete") -> None:
        """A tombstone."""
        before = Before(dict(state.attributes), state.types, [], state.modified_at, state.created_at, None)
        change = Change(request, now(), "deleted", before=before)
        tombstone = document(Write(state.id, 7, None, [change]), datetime.now(UTC))
        await self.entities.replace_one({"_id": state.id}, tombstone, upsert=True)

    async def subscribe(
        self, subscription_id: str, uri: str, *, context: ContextSource = CORE_CONTEXT_URL, **members: Any
    ) -> None:
        """Creates a subscription to Rooms, or to what `members` say; `endpoint` members are added to the uri."""
        endpoint = {"uri": uri, **members.pop("endpoint", {})}
        notification = {"endpoint": endpoint, **members.pop("notification", {})}
        if "watchedAttributes" not in members:
            members.setdefault("entities", [{"type": "Room"}])
        body = {"id": subscription_id, "type": "Subscription", "notification": notification, **members}
        parsed = subscription.parse(body, CORE, now())
        await self.subscriptions.insert_one(parsed.document(subscription_id, context, now()))

    async def change(self, subscription_id: str, **fragment: Any) -> None:
        """Changes a subscription as a PATCH with this fragment does."""
        document = await self.subscriptions.find_one({"_id": subscription_id})
        assert document is not None
        changes = subscription.updated(document, fragment, CORE, CORE_CONTEXT_URL, now())
        changes = {member: value for member, value in changes.items() if value is not None}
        await self.subscriptions.update_one({"_id": subscription_id}, {"$set": changes})

    async def counters(self, subscription_id: str) -> dict[str, Any]:
        """The sub-document `delivery`, empty while nothing is booked."""
        found = await self.subscriptions.find_one({"_id": subscription_id})
        assert found is not None
        return dict(found.get("delivery", {}))
