"""Rejected messages of all agents, in MongoDB: the capped collection `rejections` of the agents' database.

    {_id, at, topic, reason, detail, shown: the payload as it may be looked at, payload: all of it (if it may be kept)}

Capped: the oldest go when `MAX_BYTES` or the given count is reached.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from bson import Binary, ObjectId
from bson.errors import InvalidId
from pymongo import DESCENDING
from pymongo.errors import CollectionInvalid, OperationFailure

from agents.storage.mongo_connection import MongoConnection, translated

MAX_BYTES = 64 * 1024 * 1024
_EXISTS = 48


class Kept(NamedTuple):
    """A rejected message. `payload` is None where it must not, or need not, be kept."""

    at: str
    topic: str
    reason: str
    detail: str
    shown: str
    payload: bytes | None
    id: str = ""


class MongoRejections:
    """See the module. Every method raises `StoreUnavailable` when MongoDB does not answer."""

    def __init__(self, connection: MongoConnection, count: int) -> None:
        self._database = connection.database
        self._collection = connection.database["rejections"]
        self._count = count
        self._exists = False

    async def add(self, rejected: Sequence[Kept]) -> None:
        """Keep messages."""
        with translated():
            if not self._exists:
                await self._create()
            await self._collection.insert_many(
                [
                    {**each._asdict(), "payload": None if each.payload is None else Binary(each.payload)}
                    for each in rejected
                ],
                ordered=False,
            )

    async def latest(self, limit: int, condition: Mapping[str, str] | None = None) -> list[Kept]:
        """Return the newest first; `condition`: reason, topic, id."""
        wanted: dict[str, Any] = dict(condition or {})
        if "id" in wanted:
            try:
                wanted["_id"] = ObjectId(wanted.pop("id"))
            except InvalidId:
                return []
        with translated():
            found = await self._collection.find(wanted).sort("$natural", DESCENDING).limit(limit).to_list()
        return [_kept(document) for document in found]

    async def remove(self, ids: Sequence[str]) -> None:
        """Forget messages."""
        with translated():
            await self._collection.delete_many({"_id": {"$in": [ObjectId(id_) for id_ in ids]}})

    async def _create(self) -> None:
        try:
            await self._database.create_collection("rejections", capped=True, size=MAX_BYTES, max=self._count)
        except (CollectionInvalid, OperationFailure) as error:
            if isinstance(error, OperationFailure) and error.code != _EXISTS:
                raise
        self._exists = True


def _kept(document: Mapping[str, Any]) -> Kept:
    payload = document["payload"]
    return Kept(
        document["at"],
        document["topic"],
        document["reason"],
        document["detail"],
        document["shown"],
        None if payload is None else bytes(payload),
        str(document["_id"]),
    )
