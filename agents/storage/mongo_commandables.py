"""Which commands the entities can be given, and the subscriptions for that: collections `commandables`, `subscribed`.

commandables  {_id: JSON text of [tenant, entity, command], tenant, context, type, entity, name, line: JSON text,
               made: whether the entity has the attributes}
subscribed    {_id: subscription id, tenant, context, type, names, address}
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import orjson
from bson.codec_options import CodecOptions
from pymongo import ASCENDING, IndexModel, ReplaceOne

from agents.commands.command import Line
from agents.commands.store import Commandable, CommandStore, Kind, Subscribed
from agents.specification import Target
from agents.storage.mongo_connection import MongoConnection, translated

_Document = dict[str, Any]
_INDEXES = [
    IndexModel([("line", ASCENDING)], name="line"),
    IndexModel([("tenant", ASCENDING), ("context", ASCENDING), ("type", ASCENDING), ("name", ASCENDING)], name="kind"),
    IndexModel([("made", ASCENDING)], name="made"),
]


class MongoCommandables(CommandStore):
    """The part of the store that says which commands there can be."""

    def __init__(self, connection: MongoConnection, options: CodecOptions[dict[str, Any]]) -> None:
        self._database = connection.database
        self._commandables = self._database.get_collection("commandables", codec_options=options)
        self._subscribed = self._database.get_collection("subscribed", codec_options=options)

    async def prepare(self) -> None:
        """See CommandStore."""
        with translated():
            await self._commandables.create_indexes(_INDEXES)

    async def enter(self, line: Line, commandables: Sequence[Commandable]) -> Sequence[Kind]:
        """See CommandStore. One that is unchanged stays as it is."""
        wanted = {_key(it.kind.target.tenant, it.entity_id, it.name): it for it in commandables}
        with translated():
            known = {it["_id"]: it async for it in self._commandables.find({"line": _text(line)})}
            gone = [it for key, it in known.items() if key not in wanted]
            new = [_document(key, it) for key, it in wanted.items() if _differs(known.get(key), it)]
            if new:
                await self._commandables.bulk_write([ReplaceOne({"_id": it["_id"]}, it, upsert=True) for it in new])
            if gone:
                await self._commandables.delete_many({"_id": {"$in": [it["_id"] for it in gone]}})
        former = [known[it["_id"]] for it in new if it["_id"] in known]
        return list({_kind(it): None for it in (*gone, *former, *new)})

    async def entered(self) -> Mapping[Line, Collection[Commandable]]:
        """See CommandStore."""
        found: dict[Line, set[Commandable]] = {}
        with translated():
            async for document in self._commandables.find():
                commandable = _commandable(document)
                found.setdefault(commandable.line, set()).add(commandable)
        return found

    async def find(self, tenant: str, wanted: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], Commandable]:
        """See CommandStore."""
        keys = [_key(tenant, *each) for each in wanted]
        with translated():
            found = await self._commandables.find({"_id": {"$in": keys}}).to_list()
        return {(it["entity"], it["name"]): _commandable(it) for it in found}

    async def unmade(self, limit: int, line: Line | None = None) -> Sequence[Commandable]:
        """See CommandStore."""
        condition: _Document = {"made": False} if line is None else {"made": False, "line": _text(line)}
        with translated():
            found = await self._commandables.find(condition).limit(limit).to_list()
        return [_commandable(it) for it in found]

    async def made(self, commandables: Iterable[Commandable]) -> None:
        """See CommandStore."""
        keys = [_key(it.kind.target.tenant, it.entity_id, it.name) for it in commandables]
        with translated():
            await self._commandables.update_many({"_id": {"$in": keys}}, {"$set": {"made": True}})

    async def names(self, kind: Kind) -> Sequence[str]:
        """See CommandStore."""
        with translated():
            names: list[str] = await self._commandables.distinct("name", _of(kind))
        return sorted(names)

    async def kinds(self) -> Sequence[Kind]:
        """See CommandStore."""
        members = {"tenant": "$tenant", "context": "$context", "type": "$type"}
        with translated():
            known = [it["_id"] async for it in await self._commandables.aggregate([{"$group": {"_id": members}}])]
            known += await self._subscribed.find().to_list()
        return list({_kind(it): None for it in known})

    async def subscribed(self, subscription_id: str) -> Subscribed | None:
        """See CommandStore."""
        with translated():
            found = await self._subscribed.find_one({"_id": subscription_id})
        return None if found is None else Subscribed(subscription_id, _kind(found), found["names"], found["address"])

    async def keep_subscribed(self, subscription_id: str, subscribed: Subscribed | None) -> None:
        """See CommandStore."""
        with translated():
            if subscribed is None:
                await self._subscribed.delete_one({"_id": subscription_id})
                return
            document = {**_of(subscribed.kind), "names": list(subscribed.names), "address": subscribed.address}
            await self._subscribed.replace_one({"_id": subscription_id}, document, upsert=True)


def _differs(known: Mapping[str, Any] | None, commandable: Commandable) -> bool:
    return known is None or _commandable(known) != commandable


def _of(kind: Kind) -> _Document:
    return {"tenant": kind.target.tenant, "context": kind.target.context, "type": kind.entity_type}


def _kind(document: Mapping[str, Any]) -> Kind:
    return Kind(Target(document["tenant"], document["context"]), document["type"])


def _document(key: str, commandable: Commandable) -> _Document:
    members = {"entity": commandable.entity_id, "name": commandable.name, "line": _text(commandable.line)}
    return {"_id": key, **_of(commandable.kind), **members, "made": False}


def _commandable(document: Mapping[str, Any]) -> Commandable:
    line = Line(*orjson.loads(document["line"]))
    return Commandable(_kind(document), document["entity"], document["name"], line)


def _key(*parts: str) -> str:
    return _text(parts)


def _text(value: Iterable[str]) -> str:
    return orjson.dumps(list(value)).decode()
