"""The tenants in MongoDB: how their databases are called, which there are, how they come and go.

The collection `tenants` of the default tenant's database lists them: `{_id: tenant, database, incarnation, createdAt,
leaving?}`. `incarnation` differs each time a tenant of the same name is created, so that what a process remembers of an
earlier one can be told apart from it.
"""

import re
from secrets import token_hex
from typing import Any

from bson import ObjectId
from pymongo import ASCENDING, AsyncMongoClient, ReturnDocument, WriteConcern
from pymongo.asynchronous.collection import AsyncCollection

from broker.errors import TenantLeaving
from broker.storage.base import TenantRecord

_KEPT = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789_-")
_ESCAPED = re.compile(r"=([0-9a-f]{2})")


def database_name(prefix: str, tenant: str) -> str:
    """The database of a tenant: the prefix alone for the default tenant (""), else `<prefix>_<tenant>`.

    MongoDB allows few characters and takes upper and lower case for the same, so every byte (of UTF-8) other than
    a-z, 0-9, '_' and '-' is written `=xx`. `tenant_of(p, database_name(p, t)) == t` for every tenant t.
    """
    if not tenant:
        return prefix
    written = "".join(chr(byte) if byte in _KEPT else f"={byte:02x}" for byte in tenant.encode())
    return f"{prefix}_{written}"


def tenant_of(prefix: str, database: str) -> str:
    """The tenant whose database that is."""
    written = database[len(prefix) + 1 :]
    if "=" not in written:
        return written
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), written).encode("latin-1").decode(errors="replace")


class TenantRegister:
    """The collection `tenants`. Raises the driver's exceptions, and TenantLeaving."""

    def __init__(self, client: AsyncMongoClient[dict[str, Any]], prefix: str) -> None:
        self._client = client
        self._prefix = prefix
        self._alias = ""

    async def incarnation(self, tenant: str) -> str | None:
        """The incarnation of a tenant; None if it does not exist or is being deleted."""
        found = await self._collection().find_one({"_id": tenant})
        return None if found is None or "leaving" in found else _incarnation(found)

    async def require_none_leaving(self, tenant: str) -> None:
        """Raises TenantLeaving while an earlier tenant of the name is being deleted."""
        if await self._collection().find_one({"_id": tenant, "leaving": {"$exists": True}}) is not None:
            raise TenantLeaving(f"Tenant {tenant} is being deleted; come back when that is done")

    async def enter(self, tenant: str, now: str) -> str:
        """Lists the tenant if it is not there; gives its incarnation."""
        new = {"database": database_name(self._prefix, tenant), "incarnation": ObjectId(), "createdAt": now}
        found = await self._collection().find_one_and_update(
            {"_id": tenant}, {"$setOnInsert": new}, upsert=True, return_document=ReturnDocument.AFTER
        )
        assert found is not None
        if "leaving" in found:
            raise TenantLeaving(f"Tenant {tenant} is being deleted; come back when that is done")
        return _incarnation(found)

    async def alias(self) -> str:
        """The name of this deployment; the first process to ask for it makes it."""
        if not self._alias:
            found = await self._of_default("deployment").find_one_and_update(
                {"_id": "alias"},
                {"$setOnInsert": {"alias": f"medina-{token_hex(4)}"}},
                upsert=True,
                return_document=ReturnDocument.AFTER,
            )
            assert found is not None
            self._alias = str(found["alias"])
        return self._alias

    async def list(self) -> list[TenantRecord]:
        """All tenants but the default one, in the order of their names."""
        found = await self._collection().find({"_id": {"$ne": ""}}).sort("_id", ASCENDING).to_list()
        return [TenantRecord(item["_id"], item.get("createdAt"), "leaving" in item) for item in found]

    async def mark_leaving(self, tenant: str) -> bool:
        """From now on no process that asks finds the tenant; False if there is none."""
        marked = await self._collection().update_one({"_id": tenant}, {"$set": {"leaving": True}})
        await self._end_subscriptions(tenant)
        return marked.matched_count == 1

    async def remove(self, tenant: str) -> None:
        """Drops what a tenant marked as leaving has, then its entry."""
        await self._end_subscriptions(tenant)
        await self._client.drop_database(database_name(self._prefix, tenant))
        await self._collection().delete_one({"_id": tenant, "leaving": True})

    async def _end_subscriptions(self, tenant: str) -> None:
        # One by one and not with the database, so that the notifier reads of each in the change stream.
        await self._client[database_name(self._prefix, tenant)]["subscriptions"].delete_many({})

    def _collection(self) -> AsyncCollection[dict[str, Any]]:
        return self._of_default("tenants")

    def _of_default(self, collection: str) -> AsyncCollection[dict[str, Any]]:
        durable = WriteConcern(w="majority", j=True)
        return self._client[self._prefix].get_collection(collection, write_concern=durable)


def _incarnation(document: dict[str, Any]) -> str:
    return str(document.get("incarnation", ""))
