"""Devices that ask for their configuration: values of attributes of their entity, sent to them.

Source: telefonicaid/iotagent-json and iotagent-ul, docs/usermanual.md, "Bidirectional configuration":

    topic    "/" apikey "/" device "/configuration/values"; over HTTP POST endpoint "/configuration"
    JSON     {"sleepTime": "200", "dt": "20160104T132403Z"}
    UL       device "@configuration|sleepTime=200|dt=20160104T132403Z"
"""

import asyncio
import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import uuid4

import orjson
import structlog

from agents.commands.command import Command, Message, Outcome
from agents.commands.context_broker import ContextBroker
from agents.commands.payloads import evaluated, plain, way_of
from agents.commands.publisher import Publisher
from agents.commands.push import Pusher
from agents.commands.upkeep import line_of
from agents.device import Device
from agents.errors import BrokerUnavailable, NoEndpoint, WrongShape
from agents.measure import Measure
from agents.metrics import Metrics
from agents.provisioning.specs import ULTRALIGHT_PROFILE
from agents.specification import DeviceSpec

log = structlog.get_logger(__name__)

ASKED_COUNT = 200
"""Requests being answered at the same time; a device whose request is dropped asks again."""
FIELDS_COUNT = 100
_TIME_FORMAT = "%Y%m%dT%H%M%SZ"


class Wish(NamedTuple):
    """What a device asks for: the values of attributes of its entity, now or (`follows`) whenever one changes."""

    names: Sequence[str]
    follows: bool


def wish_of(device: Device, measure: Measure) -> Wish:
    """Return what a request says; `WrongShape`, or `NoEndpoint` when the device could not be told."""
    kind, fields = measure.values.get("type"), measure.values.get("fields")
    if kind not in ("configuration", "subscription"):
        raise WrongShape("field type is neither configuration nor subscription")
    names = [name for name in fields if isinstance(name, str) and name] if isinstance(fields, list) else []
    follows = kind == "subscription"
    if len(names) > FIELDS_COUNT or not (names or (follows and fields == [])):
        raise WrongShape(f"field fields does not name 1 to {FIELDS_COUNT} attributes")
    if way_of(device.spec) == "poll":
        raise NoEndpoint(f"device {device.id} has no endpoint that could be told")
    return Wish(names, follows)


class Configuration:
    """Tells devices their configuration."""

    def __init__(self, broker: ContextBroker, publisher: Publisher, pusher: Pusher, metrics: Metrics) -> None:
        self._broker = broker
        self._publisher = publisher
        self._pusher = pusher
        self._metrics = metrics
        self._answering: set[asyncio.Task[None]] = set()

    def ask(self, spec: DeviceSpec, names: Sequence[str]) -> None:
        """Take a request for the values of now. Nothing is kept of it: a device without an answer asks again."""
        if len(self._answering) >= ASKED_COUNT:
            self._metrics.commands.labels("configuration-dropped").inc()
            return
        task = asyncio.create_task(self._answer(spec, names))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    def stop(self) -> None:
        """Answer no more."""
        for task in self._answering:
            task.cancel()

    async def _answer(self, spec: DeviceSpec, names: Sequence[str]) -> None:
        try:
            outcome = await self.tell(spec, names)
        except BrokerUnavailable as error:
            log.warning("a request for configuration is not answered", device=spec.id, why=str(error))
            return
        self._metrics.commands.labels(f"configuration-{outcome.verdict}").inc()

    async def tell(self, spec: DeviceSpec, names: Sequence[str]) -> Outcome:
        """Send a device the values of its entity's attributes; what became of it. `BrokerUnavailable`."""
        values = dict(await self._broker.values(spec.target, spec.entity_id, names))
        values["dt"] = datetime.now(UTC).strftime(_TIME_FORMAT)
        return await self._send(spec, values)

    async def _send(self, spec: DeviceSpec, values: dict[str, object]) -> Outcome:
        is_ultralight = spec.profile == ULTRALIGHT_PROFILE
        payload = f"{spec.id}@configuration|{plain(values)}".encode() if is_ultralight else orjson.dumps(values)
        if way_of(spec) == "mqtt":
            return await self._publisher.publish(f"/{spec.apikey}/{spec.id}/configuration/values", payload)
        if not spec.endpoint:
            return Outcome("refused", "the device has no endpoint")
        return await self._pusher.push(
            _as_command(spec, payload, "text/plain" if is_ultralight else "application/json")
        )


def _as_command(spec: DeviceSpec, payload: bytes, content_type: str) -> Command:
    now = datetime.now(UTC)
    headers = {"fiware-service": spec.service, "fiware-servicepath": spec.servicepath, "content-type": content_type}
    url = f"{evaluated(spec.endpoint, {'id': spec.id, 'type': spec.entity_type})}/configuration"
    command = Command(
        id=f"urn:ngsi-ld:Command:{uuid4().hex}",
        line=line_of(spec),
        target=spec.target,
        entity_id=spec.entity_id,
        entity_type=spec.entity_type,
        name="configuration",
        dataset="",
        value=None,
        message=Message("push"),
        issued_at=now,
        deadline=now,
    )
    return dataclasses.replace(command, message=Message("push", url, payload, headers=headers))
