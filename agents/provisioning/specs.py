"""From what was provisioned to specifications: a device with its group's word where it has none of its own."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TypeVar

from agents.names import default_id, entity_id
from agents.profile import Profile
from agents.provisioning.bodies import (
    AttributeBody,
    CommandBody,
    Common,
    DeviceBody,
    GroupBody,
    MetadatumBody,
    StaticBody,
)
from agents.specification import (
    AttributeSpec,
    Chosen,
    CommandSpec,
    DeviceSpec,
    GroupSpec,
    Link,
    MappingSpec,
    Metadatum,
    ObjectId,
    StaticSpec,
    Target,
)
from agents.storage.base import Identity

JSON_PROFILE, ULTRALIGHT_PROFILE = "iotagent-json", "ultralight"
ROUTES = {"/iot/json": JSON_PROFILE, "/iot/d": ULTRALIGHT_PROFILE}
"""The protocols' own routes: groups with these resources, or none, are found by their apikey alone."""

DEFAULT_TYPE = "Thing"
"""Type of the entity of a device for which nobody has said one (the agents' `defaultType`)."""

Named = TypeVar("Named", bound=AttributeBody | CommandBody | StaticBody)
Given = TypeVar("Given")


_NOTHING = Common()


@dataclass(frozen=True, slots=True)
class Place:
    """How this agent reads `fiware-service`, and names when a group does not say how."""

    tenant: str = ""
    service: str = ""
    context: str = ""
    default_apikey: str = ""
    """Of devices that have none, and no group."""

    def target(self, service: str, context: str | None) -> Target:
        """Return where the entities of a service belong: the tenant of the same name, or the agent's own."""
        return Target(self.tenant if service == self.service else service, context or self.context)


@dataclass(frozen=True)
class Group:
    """A group, with what its devices have in common worked out once."""

    identity: Identity
    body: GroupBody
    profiles: tuple[str, ...]
    """The protocols it may speak: one, or both where nothing says which."""
    place: Place

    @property
    def resource(self) -> str:
        """Its own route; empty when it uses the protocol's."""
        return "" if self.identity.name in ROUTES else self.identity.name

    @cached_property
    def mapping(self) -> MappingSpec:
        """The mapping of a device that says nothing of its own."""
        return mapping_spec(None, self.body)

    @cached_property
    def commands(self) -> tuple[CommandSpec, ...]:
        """The commands of a device that has none of its own."""
        return command_specs((), self.body.commands)

    def spec(self, profile: str) -> GroupSpec:
        """Return the group as the registry sees it."""
        return GroupSpec(
            profile=profile,
            apikey=self.identity.apikey,
            resource=self.resource,
            service=self.identity.service,
            servicepath=self.identity.servicepath,
            member=partial(self.member, profile),
            autoprovision=self.body.autoprovision,
            allow=self.body.allow,
        )

    def member(self, profile: str, device: str) -> DeviceSpec:
        """Return the specification of a device that nobody has named."""
        identity = self.identity._replace(name=device)
        return device_spec(DeviceBody(device_id=device, apikey=identity.apikey), identity, self, profile, self.place)


def profiles_of(protocol: str, resource: str, profiles: Mapping[str, Profile]) -> tuple[str, ...]:
    """Return the profiles a group or device may speak: by `protocol` (also the name of a profile), else by resource.

    Source: the agents' own names, IoTA-JSON, IoTA-UL, PDI-IoTA-JSON, PDI-IoTA-UltraLight.
    """
    if protocol in profiles:
        return (protocol,)
    said = protocol.lower()
    if "json" in said:
        return (JSON_PROFILE,)
    if "ultralight" in said or said.endswith("ul"):
        return (ULTRALIGHT_PROFILE,)
    if resource in ROUTES:
        return (ROUTES[resource],)
    return (JSON_PROFILE, ULTRALIGHT_PROFILE)


def device_spec(body: DeviceBody, identity: Identity, group: Group | None, profile: str, place: Place) -> DeviceSpec:
    """Return the specification of a device."""
    common: Common = group.body if group is not None else _NOTHING
    type_ = body.entity_type or common.entity_type or DEFAULT_TYPE
    has_own = bool(body.attributes or body.lazy or body.static_attributes)
    has_own = has_own or not (body.explicit is None and body.timestamp is None and body.payload_type is None)
    conjunction = common.conjunction if isinstance(common, GroupBody) else ":"
    named = entity_id(body.entity_name, type_) if body.entity_name else default_id(type_, body.device_id, conjunction)
    return DeviceSpec(
        id=body.device_id,
        profile=profile,
        target=place.target(identity.service, _first(body.context, common.context)),
        entity_id=named,
        entity_type=type_,
        apikey=body.apikey or common.apikey or (place.default_apikey if profile in ROUTES.values() else ""),
        service=identity.service,
        servicepath=identity.servicepath,
        mapping=group.mapping
        if group is not None and not has_own
        else mapping_spec(body, group.body if group else None),
        commands=group.commands
        if group is not None and not body.commands
        else command_specs(body.commands, common.commands),
        transport=_first(body.transport, common.transport) or "",
        endpoint=_first(body.endpoint, common.endpoint) or "",
        timezone=_first(body.timezone, common.timezone) or "UTC",
        settings={**common.settings, **body.settings},
        device_type=_first(body.device_type, common.device_type),
        device_name=body.device_name,
        zone=body.zone,
        expected_interval_s=_first(body.expected_interval_s, common.expected_interval_s),
    )


def mapping_spec(device: DeviceBody | None, group: GroupBody | None) -> MappingSpec:
    """Return what becomes of measures: the device's attributes, then those of the group that it does not replace.

    Lazy ones are not asked for, but a device may report them, as with the FIWARE agents.
    """
    own: Common = device or _NOTHING
    common: Common = group or _NOTHING
    attributes = [*_merged(own.lazy, common.lazy, _field), *_merged(own.attributes, common.attributes, _field)]
    statics = _merged(own.static_attributes, common.static_attributes, _name)
    explicit = common.explicit if own.explicit is None else own.explicit
    timestamp = _first(own.timestamp, common.timestamp)
    return MappingSpec(
        attributes=tuple(_attribute(body) for body in attributes if _name(body) not in ("id", "type")),
        statics=tuple(_static(body) for body in statics),
        explicit=_chosen(explicit) if isinstance(explicit, tuple) else explicit or False,
        entity_name=(group.entity_name if group else None) or None,
        timestamp=True if timestamp is None else timestamp,
        payload_type=own.payload_type or common.payload_type or "iotagent",
    )


def names_of(spec: DeviceSpec) -> Iterator[tuple[str, str]]:
    """Give what somebody has named in a specification, each with the word for it."""
    named: tuple[AttributeSpec | StaticSpec, ...] = (*spec.mapping.attributes, *spec.mapping.statics)
    yield spec.entity_type, "type"
    yield from ((command.name, "command") for command in spec.commands)
    for each in named:
        yield each.name, "attribute"
        if each.entity_type is not None:
            yield each.entity_type, "type"


def command_specs(own: Sequence[CommandBody], group: Sequence[CommandBody]) -> tuple[CommandSpec, ...]:
    """Return the commands: the device's, then those of the group that it does not replace."""
    return tuple(_command(body) for body in _merged(own, group, _field))


def _merged(own: Sequence[Named], group: Iterable[Named], key: Callable[[Named], str]) -> list[Named]:
    """Several of one key stay: a field may become several attributes, also of several entities."""
    mine = {key(body) for body in own}
    return [*own, *(body for body in group if key(body) not in mine)]


def _field(body: AttributeBody | CommandBody) -> str:
    return body.object_id or body.name


def _name(body: AttributeBody | StaticBody) -> str:
    return body.name or (body.object_id if isinstance(body, AttributeBody) else "")


def _attribute(body: AttributeBody) -> AttributeSpec:
    return AttributeSpec(
        field=_field(body),
        name=_name(body),
        type=body.type or "Property",
        expression=body.expression or None,
        skip=body.skip,
        entity_name=body.entity_name or None,
        entity_type=body.entity_type or None,
        unit=_unit(body.metadata),
        metadata=_metadata(body.metadata),
        low=body.low,
        high=body.high,
    )


def _unit(metadata: Mapping[str, MetadatumBody]) -> str | None:
    """The unit of an attribute, as far as it is always the same."""
    unit = metadata.get("unitCode")
    return unit.value if unit is not None and unit.expression is None and isinstance(unit.value, str) else None


def _static(body: StaticBody) -> StaticSpec:
    link = body.link
    return StaticSpec(
        name=body.name,
        value=body.value,
        type=body.type or "Property",
        metadata=_metadata(body.metadata),
        entity_name=body.entity_name or None,
        entity_type=body.entity_type or None,
        link=None if link is None else Link(link.attributes, link.name, link.type),
    )


def _command(body: CommandBody) -> CommandSpec:
    return CommandSpec(
        name=body.name or body.object_id,
        type=body.type,
        expression=body.expression or None,
        payload_type=body.payload_type,
        content_type=body.content_type,
        headers=body.headers,
        qos=1 if body.mqtt.qos is None else body.mqtt.qos,
        retain=body.mqtt.retain,
        expires_s=body.expires_s,
    )


def _metadata(bodies: Mapping[str, MetadatumBody]) -> dict[str, Metadatum]:
    return {name: Metadatum(body.value, body.type, body.expression) for name, body in bodies.items()}


def _chosen(items: Iterable[str | dict[str, str]]) -> Chosen:
    return tuple(ObjectId(item.get("object_id", "")) if isinstance(item, dict) else item for item in items)


def _first(own: Given | None, group: Given | None) -> Given | None:
    return group if own is None else own
