"""Entities by id of any tenant, for the notifier: those that the entities in its notifications are linked to."""

from collections.abc import Callable, Sequence
from typing import Any

from pymongo import AsyncMongoClient

from broker.storage.mongo_documents import living
from broker.storage.mongo_errors import translated
from broker.storage.mongo_tenants import database_name
from ngsi.entity import Entity

_UNREAD = {"changes": 0, "geo": 0, "values": 0}


class MongoLinked:
    """The entities of all tenants. `clock` gives the present as a system timestamp."""

    def __init__(self, client: AsyncMongoClient[dict[str, Any]], prefix: str, clock: Callable[[], str]) -> None:
        self._client = client
        self._prefix = prefix
        self._clock = clock

    async def read(self, tenant: str, ids: Sequence[str]) -> dict[str, Entity]:
        """The entities by id, without what has expired; one round trip. Raises StorageUnavailable."""
        collection = self._client[database_name(self._prefix, tenant)]["entities"]
        with translated():
            documents = await collection.find({"_id": {"$in": list(ids)}}, _UNREAD).to_list()
        now = self._clock()
        found = [(document["_id"], living(document, now)) for document in documents]
        return {entity_id: entity for entity_id, entity in found if entity is not None}
