"""Groups and devices in MongoDB: collections `groups` and `devices` of the database `<MEDINA_DATABASE>-agents`.

    {_id: JSON text of the unique key, service, servicepath, apikey, name, body: JSON text as provisioned}

A body is text because its names are the integrator's: no `$`, dot or depth in it is MongoDB's business. Records are
inserted, replaced and deleted as a whole, so a change stream's event says everything; a process that follows knows of
a change within milliseconds.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import orjson
import structlog
from pymongo import ASCENDING, IndexModel
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import BulkWriteError, DuplicateKeyError, PyMongoError

from agents.retry import delay_s
from agents.storage.base import Change, Identity, ProvisioningStore, Record, Shelf, ShelfName, Snapshot
from agents.storage.mongo_connection import SHOWN_CHARACTERS, MongoConnection, translated

log = structlog.get_logger(__name__)

_AWAIT_MS = 1000
_DUPLICATE_KEY = 11000
_INDEX = IndexModel([("apikey", ASCENDING), ("name", ASCENDING)], name="key")
_PLACES = IndexModel([("service", ASCENDING), ("servicepath", ASCENDING)], name="place")

_Document = dict[str, Any]


def _group_key(identity: Identity) -> str:
    return orjson.dumps([identity.name, identity.apikey]).decode()


def _device_key(identity: Identity) -> str:
    return orjson.dumps(list(identity)).decode()


def _record(document: Mapping[str, Any]) -> Record:
    identity = Identity(document["service"], document["servicepath"], document["apikey"], document["name"])
    return Record(identity, document["body"])


class MongoShelf(Shelf):
    """One collection."""

    def __init__(self, collection: AsyncCollection[_Document], key: Callable[[Identity], str]) -> None:
        self.collection = collection
        self._key = key

    def _document(self, record: Record) -> _Document:
        return {"_id": self._key(record.identity), **record.identity._asdict(), "body": record.body}

    async def insert(self, record: Record) -> bool:
        """See Shelf."""
        with translated():
            try:
                await self.collection.insert_one(self._document(record))
            except DuplicateKeyError:
                return False
        return True

    async def insert_new(self, records: Sequence[Record]) -> None:
        """See Shelf."""
        with translated():
            try:
                await self.collection.insert_many([self._document(record) for record in records], ordered=False)
            except BulkWriteError as error:
                if any(problem["code"] != _DUPLICATE_KEY for problem in error.details["writeErrors"]):
                    raise

    async def replace(self, former: Record, record: Record) -> bool:
        """See Shelf. A record under another key is entered before the former one goes."""
        former_key, key = self._key(former.identity), self._key(record.identity)
        with translated():
            if key != former_key:
                if not await self.insert(record):
                    return False
                await self.collection.delete_one({"_id": former_key})
                return True
            guard = {"_id": key, "body": former.body}
            done = await self.collection.replace_one(guard, self._document(record))
        return done.matched_count == 1

    async def delete(self, identity: Identity) -> bool:
        """See Shelf."""
        with translated():
            done = await self.collection.delete_one({"_id": self._key(identity)})
        return done.deleted_count == 1

    async def find(
        self,
        *,
        service: str | None = None,
        servicepath: str | None = None,
        apikey: str | None = None,
        name: str | None = None,
        limit: int = 0,
        offset: int = 0,
    ) -> tuple[int, list[Record]]:
        """See Shelf."""
        given = {"service": service, "servicepath": servicepath, "apikey": apikey, "name": name}
        condition = {field: value for field, value in given.items() if value is not None}
        with translated():
            found = (
                await self.collection.find(condition).sort("$natural", ASCENDING).skip(offset).limit(limit).to_list()
            )
            count = len(found) + offset
            if limit and len(found) in (0, limit):
                count = await self.collection.count_documents(condition)
        return count, [_record(document) for document in found]

    async def everything(self) -> list[Record]:
        """All records."""
        return [_record(document) for document in await self.collection.find().to_list()]


class MongoProvisioning(ProvisioningStore):
    """See ProvisioningStore."""

    def __init__(self, connection: MongoConnection) -> None:
        self._connection = connection
        self._database = connection.database
        self.groups: MongoShelf = MongoShelf(self._database["groups"], _group_key)
        self.devices: MongoShelf = MongoShelf(self._database["devices"], _device_key)
        self.trouble = "not read yet"

    async def look_up(self, keys: Collection[tuple[str, str]]) -> Snapshot:
        """See ProvisioningStore."""
        apikeys = sorted({apikey for apikey, _ in keys})
        names = sorted({device for _, device in keys})
        with translated():
            groups = await self.groups.collection.find({"apikey": {"$in": apikeys}}).to_list()
            wanted = {"apikey": {"$in": [*apikeys, ""]}, "name": {"$in": names}}
            devices = await self.devices.collection.find(wanted).to_list()
        return Snapshot([_record(group) for group in groups], [_record(device) for device in devices])

    async def follow(self, load: Callable[[Snapshot], None], change: Callable[[Change], None]) -> None:
        """See ProvisioningStore. The stream is opened before everything is read, so that nothing falls between."""
        attempt = 0
        while True:
            try:
                await self._prepare()
                async with await self._database.watch(_WATCHED, max_await_time_ms=_AWAIT_MS) as stream:
                    load(Snapshot(await self.groups.everything(), await self.devices.everything()))
                    self.trouble, attempt = None, 0
                    async for event in stream:
                        change(_change(event))
            except PyMongoError as error:
                attempt += 1
                if self.trouble is None or attempt == 1:
                    log.warning("the registry of devices is not followed", why=str(error)[:SHOWN_CHARACTERS])
                self.trouble = f"MongoDB does not answer: {type(error).__name__}"
            await asyncio.sleep(delay_s(attempt, 0.5))

    async def _prepare(self) -> None:
        await self.groups.collection.create_indexes([_INDEX, _PLACES])
        await self.devices.collection.create_indexes([_INDEX, _PLACES])

    async def close(self) -> None:
        """See ProvisioningStore."""
        await self._connection.close()


_WATCHED = [
    {"$match": {"ns.coll": {"$in": ["groups", "devices"]}, "operationType": {"$in": ["insert", "replace", "delete"]}}}
]


def _change(event: Mapping[str, Any]) -> Change:
    shelf: ShelfName = event["ns"]["coll"]
    if event["operationType"] != "delete":
        record = _record(event["fullDocument"])
        return Change(shelf, record.identity, record)
    key: list[str] = orjson.loads(event["documentKey"]["_id"])
    return Change(shelf, Identity(*key) if shelf == "devices" else Identity("", "", key[1], key[0]), None)
