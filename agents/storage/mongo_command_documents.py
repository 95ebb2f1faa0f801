"""A command as a document of MongoDB, and back; see `agents.storage.mongo_commands`."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from agents.commands.command import OPEN, Command, Line, Message, Step
from agents.specification import Target

Document = dict[str, Any]


def key_of(line: Line) -> str:
    """Return the line of a device as it is looked for."""
    return text_of(line)


def text_of(value: object) -> str:
    """Return a JSON value as text: names in it may have dots and dollars."""
    return orjson.dumps(value, default=list).decode()


def document_of(command: Command, number: int) -> Document:
    """Return the document of a new command. `number`: its place in the order of all."""
    message = command.message
    document = {
        "_id": command.id,
        "number": number,
        "line": key_of(command.line),
        "apikey": command.line.apikey,
        "device": command.line.device,
        "tenant": command.target.tenant,
        "context": command.target.context,
        "entity": command.entity_id,
        "type": command.entity_type,
        "name": command.name,
        "dataset": command.dataset,
        "value": text_of(command.value),
        "message": {
            "way": message.way,
            "to": message.to,
            "payload": message.payload,
            "qos": message.qos,
            "retain": message.retain,
            "headers": text_of(dict(message.headers)),
        },
        "issued": command.issued_at,
        "deadline": command.deadline,
        "status": command.status,
        "info": text_of(command.info),
        "attempts": 0,
        "next": command.issued_at,
        "revision": 0,
        "cleared": command.is_cleared,
        "shown": False,
        "touched": datetime.now(UTC),
        "history": [step._asdict() for step in command.history],
    }
    return document if command.status in OPEN else {**document, "gone": document["touched"]}


def command_of(document: Mapping[str, Any]) -> Command:
    """Return the command of a document."""
    message = document["message"]
    return Command(
        id=document["_id"],
        line=Line(*orjson.loads(document["line"])),
        target=Target(document["tenant"], document["context"]),
        entity_id=document["entity"],
        entity_type=document["type"],
        name=document["name"],
        dataset=document["dataset"],
        value=orjson.loads(document["value"]),
        message=Message(
            message["way"],
            message["to"],
            message["payload"],
            message["qos"],
            message["retain"],
            orjson.loads(message["headers"]),
        ),
        issued_at=document["issued"],
        deadline=document["deadline"],
        status=document["status"],
        info=orjson.loads(document["info"]),
        number=document["number"],
        attempts_count=document["attempts"],
        revision=document["revision"],
        is_cleared=document["cleared"],
        history=[Step(step["at"], step["status"], step["note"]) for step in document["history"]],
    )
