"""The bodies of the provisioning API, checked.

Source: telefonicaid/iotagent-node-lib, doc/api.md, "Config group datamodel", "Device datamodel"; lib/templates/*.json
says which members the agents refuse. What passes is stored as it came. Medina's own members are `allow` (patterns of
the ids that autoprovision accepts), `jsonLdContext` (the @context of the names, else that of the agent), `min` and
`max` of an attribute, `expiresAfter` of a command, and those that device files have: `settings`, `device_type`,
`device_name`, `zone`, `expectedInterval`.
"""

import re
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from agents.device_file import known_zone
from agents.profile_attributes import require_range
from agents.provisioning.errors import WrongSyntax
from agents.specification import Scalar

ContextUrl = Annotated[str, Field(pattern=r"^https?://[^\s<>]+$")]
PayloadType = Literal["iotagent", "ngsiv2", "ngsild"]
Explicit = bool | str | tuple[str | dict[str, str], ...]

MAX_EXPIRES_S = 31_536_000

_Body = TypeVar("_Body", bound="Body")


class Body(BaseModel):
    """Base of everything provisioned: unknown members are kept and mean nothing."""

    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)


class MetadatumBody(Body):
    """A metadatum of an attribute."""

    type: str = "Text"
    value: Any = None
    expression: str | None = None


class NamedBody(Body):
    """What attributes and commands have in common: the agents refuse members they do not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    object_id: str = ""
    name: str = ""
    type: str = ""


class AttributeBody(NamedBody):
    """An active (or lazy) attribute. Of `object_id` and `name` one is enough."""

    expression: str | None = None
    skip: Any = Field(default=None, alias="skipValue")
    entity_name: str | None = None
    entity_type: str | None = None
    metadata: dict[str, MetadatumBody] = Field(default_factory=dict)
    mqtt: Any = None
    payload_type: str | None = Field(default=None, alias="payloadType")
    content_type: str | None = Field(default=None, alias="contentType")
    low: float | None = Field(default=None, alias="min")
    high: float | None = Field(default=None, alias="max")
    """What is plausible, in the unit of the attribute: anything else is left out and told."""

    @model_validator(mode="after")
    def _has_a_range(self) -> Self:
        require_range(self.low, self.high, self.expression)
        return self


class GroupAttributeBody(AttributeBody):
    """The same in a group, where the agents let every member pass."""

    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)


class LinkBody(Body):
    """`link` of a static attribute."""

    attributes: tuple[str, ...] = ()
    name: str = "providedBy"
    type: str | None = None


class StaticBody(Body):
    """A static attribute."""

    name: str = Field(min_length=1)
    type: str = ""
    value: Any = None
    metadata: dict[str, MetadatumBody] = Field(default_factory=dict)
    entity_name: str | None = None
    entity_type: str | None = None
    link: LinkBody | None = None


class MqttBody(Body):
    """How a command is published."""

    qos: Literal[0, 1, 2] | None = None
    retain: bool = False

    @field_validator("qos", mode="before")
    @classmethod
    def _as_number(cls, qos: object) -> object:
        return int(qos) if isinstance(qos, str) and qos in ("0", "1", "2") else qos


class CommandBody(Body):
    """A command. `expiresAfter` (seconds) is Medina's own."""

    object_id: str = ""
    name: str = ""
    type: str = "command"
    expression: str | None = None
    payload_type: str | None = Field(default=None, alias="payloadType")
    content_type: str | None = Field(default=None, alias="contentType")
    headers: dict[str, Any] = Field(default_factory=dict)
    mqtt: MqttBody = MqttBody()
    expires_s: float | None = Field(default=None, alias="expiresAfter", gt=0, le=MAX_EXPIRES_S)

    @field_validator("headers", mode="before")
    @classmethod
    def _as_mapping(cls, headers: object) -> object:
        return headers if isinstance(headers, dict) else {}  # what is no object is sent without headers by the agents


class Common(Body):
    """What groups and devices have in common; a device's own word wins."""

    apikey: str = ""
    entity_type: str | None = None
    protocol: str = ""
    transport: str | None = None
    endpoint: str | None = None
    timezone: Annotated[str, AfterValidator(known_zone)] | None = None
    timestamp: bool | None = None
    attributes: tuple[AttributeBody, ...] = ()
    lazy: tuple[AttributeBody, ...] = ()
    static_attributes: tuple[StaticBody, ...] = ()
    commands: tuple[CommandBody, ...] = ()
    explicit: Explicit | None = Field(default=None, alias="explicitAttrs")
    payload_type: PayloadType | None = Field(default=None, alias="payloadType")
    context: ContextUrl | None = Field(default=None, alias="jsonLdContext")
    settings: dict[str, Scalar] = Field(default_factory=dict)
    device_type: str | None = None
    expected_interval_s: int | float | None = Field(default=None, alias="expectedInterval", gt=0)

    @field_validator("payload_type", mode="before")
    @classmethod
    def _in_any_case(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value


class GroupBody(Common):
    """A group."""

    apikey: str
    resource: str
    attributes: tuple[GroupAttributeBody, ...] = ()
    lazy: tuple[GroupAttributeBody, ...] = ()
    autoprovision: bool = True
    allow: tuple[str, ...] = ()
    entity_name: str | None = Field(default=None, alias="entityNameExp")
    conjunction: str = Field(default=":", alias="defaultEntityNameConjunction")


class DeviceBody(Common):
    """A device."""

    device_id: str = Field(min_length=1)
    entity_name: str | None = None
    device_name: str | None = None
    zone: str | None = None
    autoprovisioned: bool = False
    """It joined a group by speaking: without a group it is nobody."""


def checked(model: type[_Body], body: object) -> _Body:
    """Return the body as its model; `WrongSyntax` names the first member that is wrong, and the rule."""
    try:
        return model.model_validate(body)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        member = ".".join(str(part) for part in problem["loc"])
        said = f"{member}: {_in_words_of_json(problem['msg'].removeprefix('Value error, '))}"
        raise WrongSyntax(f"Wrong syntax in request: Errors found validating request. {said}") from None


def _in_words_of_json(said: str) -> str:
    return re.sub(r"a valid (dictionary( or instance of \w+)?|tuple)", lambda it: _WORDS[it[1][0]], said)


_WORDS = {"d": "an object", "t": "an array"}
