"""What a notification of the context broker says: which commands were written to which entities.

The subscription asks for `sysAttrs` and `showChanges`, so an instance tells when it was written, and whether this
change wrote it (`previousValue`). Both make the command's id: told twice, it is the same command. Brokers that leave
one or both out still work: then the notification itself stands for the moment.

Source: ETSI GS CIM 009, clause 5.3.1 (Notification) and 5.8.6.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from typing import NamedTuple

import orjson

from agents.errors import WrongShape
from agents.protocols.base import as_object, field, text

IDLE_TYPE = "command"

_VALUES = ("value", "object", "json", "vocab", "languageMap", "valueList", "objectList")
_PREVIOUS = "previous"
_NOT_ATTRIBUTES = frozenset({"id", "type", "scope", "@context", "createdAt", "modifiedAt", "deletedAt", "expiresAt"})
_NULL = "urn:ngsi-ld:null"
_Instance = Mapping[str, object]


class Asked(NamedTuple):
    """A command that an application has written."""

    id: str
    entity_id: str
    name: str
    dataset: str
    value: object
    issued_at: datetime
    expires_at: datetime | None = None
    """`expiresAt` of the attribute: when the application does not want it carried out any more."""


def idle(command_id: str = "") -> dict[str, object]:
    """Return the value of a command's attribute while no command waits there: the type, and the id of the last one.

    The agent writes it as soon as it has taken a command, so that the same value written again is a change again.
    """
    return {"type": IDLE_TYPE, "id": command_id} if command_id else {"type": IDLE_TYPE}


def is_idle(value: object) -> bool:
    """Whether it is what the agent itself has written."""
    return isinstance(value, dict) and value.get("type") == IDLE_TYPE and value.keys() <= {"type", "id"}


def commands_in(notification: object, tenant: str, received_at: datetime) -> list[Asked]:
    """Return the commands, in the order of the notification; `WrongShape` when it is no notification."""
    body = as_object(notification, "the notification")
    data = field(body, "data")
    if not isinstance(data, list):
        raise WrongShape("field data is no array")
    moment = str(body.get("notifiedAt") or body.get("id") or "")
    asked: list[Asked] = []
    for item in data:
        entity = as_object(item, "an item of data")
        entity_id = text(entity, "id")
        for name, instance in _instances(entity):
            if (value := _value(instance)) is None or is_idle(value) or not _is_news(instance):
                continue
            written = str(instance.get("modifiedAt") or moment)
            dataset = str(instance.get("datasetId", ""))
            before = [value for member, value in instance.items() if member.startswith(_PREVIOUS)]
            id_ = _id(tenant, entity_id, name, dataset, written, value, before)
            issued_at = _instant(written) or received_at
            expires_at = _instant(str(instance.get("expiresAt", "")))
            # Not later than now, whatever the broker's clock says.
            asked.append(Asked(id_, entity_id, name, dataset, value, min(issued_at, received_at), expires_at))
    return asked


def _instances(entity: Mapping[str, object]) -> Iterator[tuple[str, _Instance]]:
    for name, attribute in entity.items():
        if name not in _NOT_ATTRIBUTES:
            for instance in attribute if isinstance(attribute, list) else [attribute]:
                if isinstance(instance, dict):
                    yield name, instance


def _value(instance: _Instance) -> object:
    """The value; None when there is none, or the attribute was deleted."""
    found = next((instance[member] for member in _VALUES if member in instance), None)
    return None if found == _NULL else found


def _is_news(instance: _Instance) -> bool:
    """Whether this change wrote the instance, as far as that can be known."""
    created, modified = instance.get("createdAt"), instance.get("modifiedAt")
    changed = any(member.startswith(_PREVIOUS) for member in instance)
    return changed or created is None or modified is None or created == modified


def _id(*parts: object) -> str:
    return "urn:ngsi-ld:Command:" + blake2b(orjson.dumps(parts), digest_size=16).hexdigest()


def _instant(text: str) -> datetime | None:
    """The time of a text, None if it is none."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
