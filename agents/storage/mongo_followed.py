"""Devices that follow their configuration: collection `followed`.

{_id: subscription id, line: JSON text, tenant, context, type, entity, names, address, revision, attempts,
 due?: when it is to be told (next), until?: and no later, busy?: an agent is at it}
"""

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from bson.codec_options import CodecOptions
from pymongo import ASCENDING, IndexModel, ReturnDocument

from agents.commands.command import Line
from agents.commands.followed import Followed, FollowedStore
from agents.commands.store import Kind
from agents.specification import Target
from agents.storage.mongo_command_documents import Document, key_of
from agents.storage.mongo_connection import MongoConnection, translated

_INDEXES = [
    IndexModel([("line", ASCENDING)], name="line"),
    IndexModel([("due", ASCENDING)], name="due", sparse=True),
]


class MongoFollowed(FollowedStore):
    """See FollowedStore."""

    def __init__(self, connection: MongoConnection) -> None:
        options: CodecOptions[dict[str, Any]] = CodecOptions(tz_aware=True)
        self._followed = connection.database.get_collection("followed", codec_options=options)

    async def prepare(self) -> None:
        """See FollowedStore."""
        with translated():
            await self._followed.create_indexes(_INDEXES)

    async def enter(self, followed: Followed, now: datetime, until: datetime) -> None:
        """See FollowedStore."""
        members = {
            "line": key_of(followed.line),
            "tenant": followed.kind.target.tenant,
            "context": followed.kind.target.context,
            "type": followed.kind.entity_type,
            "entity": followed.entity_id,
            "names": list(followed.names),
            "address": "",
            "attempts": 0,
            "due": now,
            "until": until,
        }
        with translated():
            change = {"$set": members, "$inc": {"revision": 1}}
            await self._followed.update_one({"_id": followed.id}, change, upsert=True)

    async def of(self, line: Line) -> Sequence[Followed]:
        """See FollowedStore."""
        with translated():
            found = await self._followed.find({"line": key_of(line)}).to_list()
        return [_followed(document) for document in found]

    async def changed(self, id_: str, now: datetime, until: datetime) -> bool:
        """See FollowedStore."""
        change = {"$set": {"due": now, "until": until, "attempts": 0}, "$inc": {"revision": 1}}
        with translated():
            done = await self._followed.update_one({"_id": id_}, change)
        return done.matched_count == 1

    async def due(self, now: datetime, busy: Collection[str], limit: int) -> Sequence[str]:
        """See FollowedStore."""
        condition = {"due": {"$lte": now}, "_id": {"$nin": list(busy)}, **_free(now)}
        with translated():
            found = await self._followed.find(condition, {"_id": 1}).sort("due", ASCENDING).limit(limit).to_list()
        return [document["_id"] for document in found]

    async def claim(self, id_: str, now: datetime, busy_until: datetime) -> Followed | None:
        """See FollowedStore."""
        with translated():
            found = await self._followed.find_one_and_update(
                {"_id": id_, "due": {"$lte": now}, **_free(now)},
                {"$set": {"busy": busy_until}},
                return_document=ReturnDocument.AFTER,
            )
        return None if found is None else _followed(found)

    async def made(self, followed: Followed, address: str) -> None:
        """See FollowedStore."""
        with translated():
            wanted = {"_id": followed.id, "names": list(followed.names), "entity": followed.entity_id}
            await self._followed.update_one(wanted, {"$set": {"address": address}})

    async def elsewhere(self, notify_url: str, now: datetime, until: datetime) -> None:
        """See FollowedStore."""
        change = {"$set": {"address": "", "due": now, "until": until, "attempts": 0}, "$inc": {"revision": 1}}
        with translated():
            others = {"address": {"$ne": "", "$not": {"$regex": f"^{re.escape(notify_url)}/"}}}
            await self._followed.update_many(others, change)

    async def told(self, followed: Followed, next_at: datetime | None) -> bool:
        """See FollowedStore."""
        known = {"_id": followed.id, "revision": followed.revision}
        over: Document = {"$unset": {"busy": "", "due": "", "until": ""}, "$set": {"attempts": 0}}
        again: Document = {"$unset": {"busy": ""}, "$set": {"due": next_at}, "$inc": {"attempts": 1}}
        with translated():
            if next_at is not None:
                done = await self._followed.update_one({**known, "until": {"$gt": next_at}}, again)
                if done.matched_count:
                    return True
            done = await self._followed.update_one(known, over)
            if not done.matched_count:
                await self._followed.update_one({"_id": followed.id}, {"$unset": {"busy": ""}})
        return done.matched_count == 1

    async def remove(self, followed: Followed) -> None:
        """See FollowedStore."""
        with translated():
            await self._followed.delete_one({"_id": followed.id, "revision": followed.revision})


def _free(now: datetime) -> Document:
    return {"$or": [{"busy": {"$exists": False}}, {"busy": {"$lte": now}}]}


def _followed(document: Mapping[str, Any]) -> Followed:
    return Followed(
        document["_id"],
        Line(*orjson.loads(document["line"])),
        Kind(Target(document["tenant"], document["context"]), document["type"]),
        document["entity"],
        document["names"],
        document["address"],
        document["revision"],
        document["attempts"],
    )
