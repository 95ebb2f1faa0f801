"""Commands in MongoDB: collection `commands` of the database `<MEDINA_DATABASE>-agents`.

    {_id: id, number, line: JSON text, tenant, context, entity, type, name, dataset, value: JSON text,
     message: {way, to, payload, qos, retain, headers: JSON text}, issued, deadline, status, info: JSON text,
     attempts, next, busy?, revision, cleared, shown?: false, touched, history: [{at, status, note}], gone?: date (TTL)}

Each change of state is one atomic update, guarded by the state it starts from; so it does not matter which agent gets
a result, or whether two get the same notification. `number` comes from a counter: the order in which they were taken.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from bson.codec_options import CodecOptions
from pymongo import ASCENDING, DESCENDING, IndexModel, ReturnDocument, UpdateOne
from pymongo.errors import BulkWriteError, DuplicateKeyError

from agents.commands.command import DELIVERED, ERROR, EXPIRED, OK, OPEN, PENDING, Command, Line, Outcome
from agents.commands.store import Filter, Verdict
from agents.storage.mongo_command_documents import Document, command_of, document_of, key_of, text_of
from agents.storage.mongo_commandables import MongoCommandables
from agents.storage.mongo_connection import MongoConnection, translated

KEPT_S = 7 * 86_400
"""How long a command is kept after its end."""
HISTORY_COUNT = 50
POLLED_COUNT = 100
"""Commands that one poll delivers at the most."""

_DUPLICATE_KEY = 11000
_TRACE = {"touched": 1, "revision": 1}
_LEASE = "commands"
_STATUS_OF = {"delivered": DELIVERED, "answered": OK, "refused": ERROR, "later": PENDING}

_INDEXES = [
    IndexModel([("status", ASCENDING), ("number", ASCENDING)], name="order"),
    IndexModel([("status", ASCENDING), ("deadline", ASCENDING)], name="deadline"),
    IndexModel([("line", ASCENDING), ("name", ASCENDING), ("number", ASCENDING)], name="line"),
    IndexModel([("entity", ASCENDING), ("number", DESCENDING)], name="entity"),
    IndexModel([("shown", ASCENDING), ("touched", ASCENDING)], name="unshown", sparse=True),
    IndexModel([("gone", ASCENDING)], name="gone", expireAfterSeconds=KEPT_S),
]


class MongoCommands(MongoCommandables):
    """See CommandStore."""

    def __init__(self, connection: MongoConnection) -> None:
        options: CodecOptions[dict[str, Any]] = CodecOptions(tz_aware=True)
        super().__init__(connection, options)
        self._commands = self._database.get_collection("commands", codec_options=options)
        self._counters = self._database["counters"]
        self._leases = self._database["leases"]

    async def prepare(self) -> None:
        """See CommandStore."""
        await super().prepare()
        with translated():
            await self._commands.create_indexes(_INDEXES)

    async def add(self, commands: Sequence[Command]) -> int:
        """See CommandStore."""
        if not commands:
            return 0
        with translated():
            counter = await self._counters.find_one_and_update(
                {"_id": "commands"},
                {"$inc": {"last": len(commands)}},
                upsert=True,
                return_document=ReturnDocument.AFTER,
            )
            assert counter is not None, "it is made where there is none"
            first = counter["last"] - len(commands) + 1
            made = [document_of(command, first + place) for place, command in enumerate(commands)]
            try:
                await self._commands.insert_many(made, ordered=False)
            except BulkWriteError as error:
                problems = error.details["writeErrors"]
                if any(problem["code"] != _DUPLICATE_KEY for problem in problems):
                    raise
                return len(commands) - len(problems)
        return len(commands)

    async def heads(self, now: datetime, busy: Collection[Line], limit: int) -> Sequence[Command]:
        """See CommandStore."""
        stages: list[Document] = [
            {"$match": {"status": PENDING, "message.way": {"$ne": "poll"}, "line": {"$nin": list(map(key_of, busy))}}},
            {"$sort": {"number": 1}},
            {"$group": {"_id": "$line", "id": {"$first": "$_id"}, "next": {"$first": "$next"}}},
            {"$match": {"next": {"$lte": now}}},
            {"$limit": limit},
        ]
        with translated():
            heads = [head["id"] async for head in await self._commands.aggregate(stages)]
            found = await self._commands.find({"_id": {"$in": heads}}).to_list() if heads else []
        return [command_of(document) for document in found]

    async def claim(self, command: Command, until: datetime) -> Command | None:
        """See CommandStore."""
        with translated():
            found = await self._commands.find_one_and_update(
                {"_id": command.id, "status": PENDING},
                {"$set": {"busy": until}, "$inc": {"attempts": 1}},
                return_document=ReturnDocument.AFTER,
            )
        return None if found is None else command_of(found)

    async def attempted(self, command: Command, outcome: Outcome, now: datetime, next_at: datetime) -> bool:
        """See CommandStore."""
        status = _STATUS_OF[outcome.verdict]
        change: Document = _change(status, outcome.info, outcome.note, now)
        if status == PENDING:
            change = {"$set": {"next": next_at}, "$push": change["$push"]}
        change["$unset"] = {"busy": ""}
        with translated():
            done = await self._commands.update_one({"_id": command.id, "status": PENDING}, change)
        return done.matched_count == 1

    async def poll(self, line: Line, now: datetime, *, distinct: bool) -> Sequence[Command]:
        """See CommandStore."""
        waiting: Document = {"line": key_of(line), "status": PENDING, "deadline": {"$gt": now}}
        waiting |= {"$or": [{"busy": {"$exists": False}}, {"busy": {"$lte": now}}]}
        with translated():
            found = await self._commands.find(waiting).sort("number", ASCENDING).limit(POLLED_COUNT).to_list()
            if distinct:
                found = list({document["name"]: document for document in reversed(found)}.values())
            polled = []
            change = _change(DELIVERED, None, "fetched by the device", now)
            change["$inc"]["attempts"] = 1
            for document in sorted(found, key=lambda document: document["number"]):
                done = await self._commands.update_one({"_id": document["_id"], **waiting}, change)
                polled += [command_of(document)] if done.matched_count else []
        return polled

    async def settle(self, template: Command, now: datetime) -> Verdict:
        """See CommandStore."""
        name = {"line": key_of(template.line), "name": template.name}
        sent = {"$or": [{"status": DELIVERED}, {"status": PENDING, "attempts": {"$gt": 0}}]}
        with translated():
            change = _change(OK, template.info, "result", now)
            change["$unset"] = {"busy": ""}
            found = await self._commands.find_one_and_update({**name, **sent}, change, sort=[("number", ASCENDING)])
            if found is not None:
                return "result"
            newest = await self._commands.find_one(name, sort=[("number", DESCENDING)])
            if newest is not None and newest["status"] == EXPIRED:
                late = _change(OK, template.info, "result, after the deadline", now)
                done = await self._commands.update_one({"_id": newest["_id"], "status": EXPIRED}, late)
                return "late" if done.matched_count else "repeated"
            if newest is not None and newest["status"] == OK and newest["info"] == text_of(template.info):
                return "repeated"
            await self.add([template])
        return "unasked"

    async def expire(self, now: datetime) -> int:
        """See CommandStore."""
        overdue: Document = {"status": {"$in": list(OPEN)}, "deadline": {"$lte": now}}
        overdue |= {"$or": [{"busy": {"$exists": False}}, {"busy": {"$lte": now}}]}
        with translated():
            done = await self._commands.update_many(overdue, _change(EXPIRED, EXPIRED, "the deadline has passed", now))
        return done.modified_count

    async def unshown(self, limit: int) -> Sequence[Command]:
        """See CommandStore."""
        order = [("touched", ASCENDING), ("number", ASCENDING)]
        with translated():
            found = await self._commands.find({"shown": False}).sort(order).limit(limit).to_list()
        return [command_of(document) for document in found]

    async def shown(self, commands: Iterable[Command]) -> None:
        """See CommandStore."""
        change = {"$unset": {"shown": ""}, "$set": {"cleared": True}}
        told = [UpdateOne({"_id": command.id, "revision": command.revision}, change) for command in commands]
        with translated():
            if told:
                await self._commands.bulk_write(told, ordered=False)

    async def list(self, wanted: Filter, limit: int, offset: int) -> tuple[int, Sequence[Command]]:
        """See CommandStore."""
        given = {"_id": wanted.id, "entity": wanted.entity_id, "status": wanted.status}
        given |= {"apikey": wanted.apikey, "device": wanted.device}
        condition = {member: value for member, value in given.items() if value is not None}
        with translated():
            count = await self._commands.count_documents(condition)
            order = [("number", DESCENDING)]
            found = await self._commands.find(condition).sort(order).skip(offset).limit(limit).to_list()
        return count, [command_of(document) for document in found]

    async def lead(self, holder: str, lease_s: float) -> bool:
        """See CommandStore. By the clock of the database: those of the agents need not agree."""
        me = {"$literal": holder}
        is_free = {"$or": [{"$eq": ["$holder", me]}, {"$lt": [{"$ifNull": ["$until", 0]}, "$$NOW"]}]}
        until = {"$add": ["$$NOW", int(lease_s * 1000)]}
        taken = {"holder": {"$cond": [is_free, me, "$holder"]}, "until": {"$cond": [is_free, until, "$until"]}}
        with translated():
            try:
                lease = await self._leases.find_one_and_update(
                    {"_id": _LEASE}, [{"$set": taken}], upsert=True, return_document=ReturnDocument.AFTER
                )
            except DuplicateKeyError:
                return False  # another has just made it
        return lease is not None and lease["holder"] == holder

    async def resign(self, holder: str) -> None:
        """See CommandStore."""
        with translated():
            await self._leases.delete_one({"_id": _LEASE, "holder": holder})

    async def latest(self) -> object:
        """See CommandStore. A change leaves its command unshown and touched, so the last such one tells."""
        with translated():
            return await self._commands.find_one({"shown": False}, _TRACE, sort=[("touched", DESCENDING)])


def _change(status: str, info: object, note: str, now: datetime) -> Document:
    """The update that brings a command into a state."""
    members: Document = {"status": status, "shown": False, "touched": now}
    if info is not None:
        members["info"] = text_of(info)
    if status not in OPEN:
        members["gone"] = now
    step = {"at": now, "status": status, "note": note}
    return {
        "$set": members,
        "$inc": {"revision": 1},
        "$push": {"history": {"$each": [step], "$slice": -HISTORY_COUNT}},
    }
