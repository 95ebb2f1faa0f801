"""What is known of devices and groups before any message comes: the one form in which device files, the provisioning
API and auto-provisioning say it.

Attributes, statics and commands are those of the FIWARE agents' contract (telefonicaid/iotagent-node-lib, doc/api.md).
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import NamedTuple

Scalar = str | int | float | bool

TIME_ATTRIBUTE = "TimeInstant"
"""The attribute, or field of a measure, that says when it was made."""


class Target(NamedTuple):
    """Where the entities of a device belong: the tenant (empty: the default one), and the @context of their names."""

    tenant: str
    context: str


class ObjectId(NamedTuple):
    """`{object_id: …}` in `explicitAttrs`: the attribute that is made of this field."""

    field: str


Chosen = tuple[str | ObjectId, ...]
"""An array in `explicitAttrs`: the attributes that are sent, by their name or by their field."""


@dataclasses.dataclass(frozen=True, slots=True)
class Metadatum:
    """A property of an attribute: a value, or the expression that gives it."""

    value: object = None
    type: str = "Text"
    expression: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class AttributeSpec:
    """An attribute that is made of a field of the measure, or of an expression over all of them."""

    field: str
    name: str
    type: str = "Property"
    """A kind of attribute of NGSI-LD, or a type of the FIWARE agents (Number, geo:point, …)."""
    unit: str | None = None
    from_unit: str | None = None
    expression: str | None = None
    skip: object = None
    """The value that is not sent."""
    entity_name: str | None = None
    """Id of the entity it belongs to, or an expression that gives it; None: the device's own."""
    entity_type: str | None = None
    metadata: Mapping[str, Metadatum] = dataclasses.field(default_factory=dict)
    low: float | None = None
    high: float | None = None
    """What is plausible, in `unit`."""


@dataclasses.dataclass(frozen=True, slots=True)
class Link:
    """What a static Relationship passes on: these attributes are written to the entity it points to as well."""

    attributes: tuple[str, ...]
    name: str = "providedBy"
    """The Relationship, on each attribute passed on, to the device's entity."""
    type: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class StaticSpec:
    """An attribute that every measure of the device carries."""

    name: str
    value: object
    type: str = "Property"
    unit: str | None = None
    metadata: Mapping[str, Metadatum] = dataclasses.field(default_factory=dict)
    entity_name: str | None = None
    entity_type: str | None = None
    link: Link | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class CommandSpec:
    """A command that a device understands."""

    name: str
    type: str = "command"
    expression: str | None = None
    payload_type: str | None = None
    content_type: str | None = None
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    qos: int = 1
    retain: bool = False
    expires_s: float | None = None
    """How long after it was written it may be carried out; None: as long as the agent says for all."""


@dataclasses.dataclass(frozen=True, slots=True)
class MappingSpec:
    """Everything that decides what becomes of a measure, whichever device of the kind it comes from."""

    attributes: tuple[AttributeSpec, ...] = ()
    statics: tuple[StaticSpec, ...] = ()
    explicit: bool | str | Chosen = False
    """True: only `attributes` and `statics` are sent; or the names of those that are, or an expression for either."""
    entity_name: str | None = None
    """An expression for the entity's id, over the measure as well."""
    timestamp: bool = True
    """False: only measures that state their time carry `observedAt`."""
    payload_type: str = "iotagent"
    """`ngsild` or `ngsiv2`: the measures are entities."""

    @property
    def key(self) -> str:
        """Equal for equal specifications: a mapping is compiled once for all devices that share it."""
        return repr(self)


@dataclasses.dataclass(frozen=True, slots=True)
class DeviceSpec:
    """A device with everything its group says already in it."""

    id: str
    profile: str
    target: Target
    entity_id: str
    entity_type: str
    apikey: str = ""
    service: str = ""
    servicepath: str = ""
    mapping: MappingSpec = MappingSpec()
    commands: tuple[CommandSpec, ...] = ()
    transport: str = ""
    endpoint: str = ""
    timezone: str = "UTC"
    settings: Mapping[str, Scalar] = dataclasses.field(default_factory=dict)
    device_type: str | None = None
    """Type of the entity that tells about the device itself; None: there is none."""
    device_name: str | None = None
    zone: str | None = None
    expected_interval_s: int | float | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class GroupSpec:
    """The devices that share an apikey. `member` gives the specification of a device that nobody has named."""

    profile: str
    apikey: str
    resource: str
    """Path of its HTTP route; empty: the protocol's own."""
    service: str
    servicepath: str
    member: Callable[[str], DeviceSpec]
    autoprovision: bool = True
    allow: tuple[str, ...] = ()
    """Patterns (`*`, `?`) of the ids that may join; empty: any."""
