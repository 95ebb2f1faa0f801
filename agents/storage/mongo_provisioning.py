"""Groups and devices in MongoDB: collections `groups` and `devices` of the database `<MEDINA_DATABASE>-agents`.

    {_id: JSON text of the unique key, service, servicepath, apikey, name, body: JSON text as provisioned}

A body is text because its names are the integrator's: no `$`, dot or depth in it is MongoDB's business. Records are
inserted, replaced and deleted as a whole; a process that follows knows of a change within a second.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import orjson
import structlog
from pymongo import ASCENDING, IndexModel
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import BulkWriteError, DuplicateKeyError

from agents.errors import StoreUnavailable
from agents.retry import delay_s
from agents.storage.base import Change, Identity, ProvisioningStore, Record, Shelf, ShelfName, Snapshot
from agents.storage.mongo_connection import MongoConnection, translated
from agents.storage.mongo_notes import Notes

log = structlog.get_logger(__name__)

_FOLLOW_EVERY_S = 0.5
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

    def __init__(
        self, name: ShelfName, collection: AsyncCollection[_Document], key: Callable[[Identity], str], notes: Notes
    ) -> None:
        self.collection = collection
        self._name = name
        self._key = key
        self._notes = notes

    def _document(self, record: Record) -> _Document:
        return {"_id": self._key(record.identity), **record.identity._asdict(), "body": record.body}

    async def insert(self, record: Record) -> bool:
        """See Shelf."""
        document = self._document(record)
        with translated():
            try:
                async with self._notes.left(self._name, [document["_id"]]):
                    await self.collection.insert_one(document)
            except DuplicateKeyError:
                return False
        return True

    async def insert_new(self, records: Sequence[Record]) -> Sequence[Record]:
        """See Shelf."""
        documents = [self._document(record) for record in records]
        with translated():
            try:
                async with self._notes.left(self._name, [document["_id"] for document in documents]):
                    await self.collection.insert_many(documents, ordered=False)
            except BulkWriteError as error:
                problems = error.details["writeErrors"]
                if any(problem["code"] != _DUPLICATE_KEY for problem in problems):
                    raise
                known = {problem["index"] for problem in problems}
                return [record for place, record in enumerate(records) if place not in known]
        return records

    async def replace(self, former: Record, record: Record) -> bool:
        """See Shelf. A record under another key is entered before the former one goes."""
        former_key, key = self._key(former.identity), self._key(record.identity)
        with translated():
            if key != former_key:
                if not await self.insert(record):
                    return False
                async with self._notes.left(self._name, [former_key]):
                    await self.collection.delete_one({"_id": former_key})
                return True
            guard = {"_id": key, "body": former.body}
            async with self._notes.left(self._name, [key]):
                done = await self.collection.replace_one(guard, self._document(record))
        return done.matched_count == 1

    async def delete(self, identity: Identity) -> bool:
        """See Shelf."""
        key = self._key(identity)
        with translated():
            async with self._notes.left(self._name, [key]):
                done = await self.collection.delete_one({"_id": key})
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

    async def present(self, keys: Collection[str]) -> dict[str, Record | None]:
        """The records of these keys, None for those that are not there."""
        found: dict[str, Record | None] = dict.fromkeys(keys)
        if keys:
            async for document in self.collection.find({"_id": {"$in": list(keys)}}):
                found[document["_id"]] = _record(document)
        return found


class MongoProvisioning(ProvisioningStore):
    """See ProvisioningStore."""

    def __init__(self, connection: MongoConnection) -> None:
        self._connection = connection
        self._database = connection.database
        self._notes = Notes(self._database)
        self.groups: MongoShelf = MongoShelf("groups", self._database["groups"], _group_key, self._notes)
        self.devices: MongoShelf = MongoShelf("devices", self._database["devices"], _device_key, self._notes)
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
        """See ProvisioningStore. Notes are seen for some seconds, so that nothing falls between two looks."""
        attempt = 0
        while True:
            try:
                with translated():
                    await self._prepare()
                    load(Snapshot(await self.groups.everything(), await self.devices.everything()))
                    self.trouble, attempt = None, 0
                    await self._follow_notes(change)
            except StoreUnavailable as error:
                attempt += 1
                if self.trouble is None or attempt == 1:
                    log.warning("the registry of devices is not followed", why=str(error))
                self.trouble = f"MongoDB does not answer: {type(error.__cause__).__name__}"
            await asyncio.sleep(delay_s(attempt, 0.5))

    async def _prepare(self) -> None:
        await self.groups.collection.create_indexes([_INDEX, _PLACES])
        await self.devices.collection.create_indexes([_INDEX, _PLACES])
        await self._notes.prepare()

    async def _follow_notes(self, change: Callable[[Change], None]) -> None:
        """Looks at what may have changed, and tells each state once; until the database does not answer."""
        told: dict[ShelfName, dict[str, Record | None]] = {"groups": {}, "devices": {}}
        shelves: dict[ShelfName, MongoShelf] = {"groups": self.groups, "devices": self.devices}
        while True:
            await asyncio.sleep(_FOLLOW_EVERY_S)
            for shelf, keys in (await self._notes.recent()).items():
                present = await shelves[shelf].present(keys)
                for key, record in present.items():
                    if key not in told[shelf] or told[shelf][key] != record:
                        change(Change(shelf, _identity(shelf, key) if record is None else record.identity, record))
                told[shelf] = present

    async def close(self) -> None:
        """See ProvisioningStore."""
        await self._connection.close()


def _identity(shelf: ShelfName, key: str) -> Identity:
    parts: list[str] = orjson.loads(key)
    return Identity(*parts) if shelf == "devices" else Identity("", "", parts[1], parts[0])
