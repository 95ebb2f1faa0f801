"""Groups and devices as the provisioning API shows them: what was provisioned, and what became of what was not said."""

from collections.abc import Mapping
from typing import Any

import orjson

from agents.specification import DeviceSpec
from agents.storage.base import Record

Json = dict[str, Any]

_LISTS = ("attributes", "lazy", "commands", "static_attributes", "internal_attributes")


def shown_group(record: Record) -> Json:
    """Return a group as it is shown."""
    body: Mapping[str, Any] = orjson.loads(record.body)
    place = {"service": record.identity.service, "subservice": record.identity.servicepath}
    return {**{name: [] for name in _LISTS}, **body, **place}


def shown_device(record: Record, spec: DeviceSpec) -> Json:
    """Return a device as it is shown; `spec`: with what its group says."""
    body: Json = orjson.loads(record.body)
    shown = {
        "device_id": spec.id,
        "apikey": spec.apikey or None,
        "service": spec.service,
        "service_path": spec.servicepath,
        "entity_name": spec.entity_id,
        "entity_type": spec.entity_type,
        "transport": spec.transport or None,
        "endpoint": spec.endpoint or None,
        **{name: body.get(name, []) for name in _LISTS},
    }
    rest = {name: value for name, value in body.items() if name not in shown}
    return {name: value for name, value in {**shown, **rest}.items() if value is not None}
