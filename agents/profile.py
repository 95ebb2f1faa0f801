"""Profile files: what the messages of one vendor mean. A new vendor is one file in `agents/profiles/`.

The keys are described in docs/integrators.md. A profile that could let a sensitive field out other than as a
pseudonym or a class is refused when it is read.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from agents.errors import ConfigurationError, InvalidExpression
from agents.expressions import compile_expression
from agents.file_model import FileModel, parse_file
from agents.liveness import Liveness, Scheme, names_in_all
from agents.protocols import CODECS, PROTOCOLS, SIGNATURES
from agents.specification import AttributeSpec, Scalar
from agents.templates import Template
from agents.units import CONVERSIONS

BUNDLED = Path(__file__).parent / "profiles"


def _known_protocol(name: str) -> str:
    if name not in PROTOCOLS:
        raise ValueError(f"{name!r} is no protocol; there are {', '.join(sorted(PROTOCOLS))}")
    return name


def _template(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return Template(value)
    except ConfigurationError as error:
        raise ValueError(str(error)) from error


def _compilable(text: str) -> str:
    try:
        compile_expression(text)
    except InvalidExpression as error:
        raise ValueError(str(error)) from error
    return text


ID_PARTS = frozenset({"device", "stamp"})
"""What every id template may use besides topic parts, fields and attributes: the device's id and its time."""

Kind = Literal["Property", "Relationship", "GeoProperty"]
Pattern = Annotated[Template, BeforeValidator(_template)]


class Step(FileModel):
    """One line of a classification, tried in order: holds when the number is above / below its bound, or always.

    A bound is a number or the name of a setting of the device.
    """

    above: float | str | None = None
    below: float | str | None = None
    result: str = Field(alias="is")


class AttributeName(FileModel):
    """How a field of a measure is called as an attribute (in profiles, groups and devices alike)."""

    name: str = Field(min_length=1)
    kind: Kind = "Property"
    unit: str | None = None
    from_unit: str | None = None
    expression: Annotated[str, AfterValidator(_compilable)] | None = None
    """What the value is made of, instead of the field alone."""
    skip: Scalar | None = None
    """The value that is not sent."""
    entity_name: str | None = None
    """Another entity that gets the attribute: its id, or an expression that gives it."""
    entity_type: str | None = None
    low: float | None = Field(default=None, alias="min")
    high: float | None = Field(default=None, alias="max")
    """What is plausible, in `unit`: anything else is left out and told."""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        _require_conversion(self.from_unit, self.unit)
        _require_range(self.low, self.high)
        if self.expression is not None and (self.low, self.high) != (None, None):
            raise ValueError("min and max are of a field; an expression can tell with `? :` what is plausible")
        return self


class AttributeRule(FileModel):
    """Where the value of an attribute comes from (exactly one of the first three) and what is made of it."""

    field: str | None = None
    setting: str | None = None
    clock: Literal["observed"] | None = None
    kind: Kind = "Property"
    values: dict[str, Scalar] | None = None
    classify: Annotated[tuple[Step, ...], Field(min_length=1)] | None = None
    pseudonym: str | None = Field(default=None, min_length=1)
    """Purpose of the pseudonym that stands for the value."""
    rotation: int = Field(default=1, ge=1, le=366)
    """Days after which it is another pseudonym."""
    unit: str | None = None
    from_unit: str | None = None
    low: float | None = Field(default=None, alias="min")
    high: float | None = Field(default=None, alias="max")
    """What is plausible, in `unit`: anything else is left out and told."""
    optional: bool = False
    """The attribute is left out where the field is missing, instead of refusing the message."""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        _require_range(self.low, self.high)
        if sum(source is not None for source in (self.field, self.setting, self.clock)) != 1:
            raise ValueError("an attribute has exactly one of field, setting, clock")
        if sum(change is not None for change in (self.values, self.classify, self.pseudonym)) > 1:
            raise ValueError("an attribute has at most one of values, classify, pseudonym")
        if self.classify is not None and (self.classify[-1].above, self.classify[-1].below) != (None, None):
            raise ValueError("the last step of classify has no bound, so that every number has a class")
        _require_conversion(self.from_unit, self.unit)
        return self

    @property
    def hides(self) -> bool:
        """Whether the value itself stays behind."""
        return self.pseudonym is not None or self.classify is not None

    def settings(self) -> Iterable[str]:
        """Names of the device settings this rule needs."""
        if self.setting is not None:
            yield self.setting
        for step in self.classify or ():
            yield from (bound for bound in (step.above, step.below) if isinstance(bound, str))


class EntityRule(FileModel):
    """An entity that a message makes, of messages of one kind or of all."""

    kind: str | None = None
    has: str | None = None
    """The field without which there is no such entity."""
    type: str = Field(min_length=1)
    id: Pattern
    attributes: Annotated[dict[str, AttributeRule], Field(min_length=1)]


class Fields(FileModel):
    """The allow-list: every other field of the payload is dropped before anything looks at it."""

    plain: tuple[str, ...] = ()
    sensitive: tuple[str, ...] = ()


class Sequence(FileModel):
    """`[sequence]`: a number that grows by one with each message, so that missing ones are noticed."""

    field: str
    of: Pattern
    """Who counts: a template of topic parts and fields."""


class Profile(FileModel):
    """One profile file. Without `entities`, every field becomes an attribute of the device's own entity."""

    name: str
    protocol: Annotated[str, AfterValidator(_known_protocol)]
    topics: tuple[Scheme, ...] = ()
    routes: tuple[Scheme, ...] = ()
    """Paths of the HTTP port for devices, written as topics are."""
    device: Pattern
    codec: str | None = None
    """How payloads inside of the protocol's messages are read, where there are several forms."""
    signed: str | None = None
    """Name of the operator's key that messages are signed with, when there is one."""
    received: str | None = None
    """The field that tells when the message came."""
    dedup: Pattern | None = None
    """What two copies of one measure have in common, of one device."""
    sequence: Sequence | None = None
    liveness: Liveness = Liveness()
    unlisted: Literal["reject", "ignore"] = "reject"
    """What happens to messages of devices nobody has named: ignored ones leave no trace but their number."""
    explicit: bool = Field(default=False, alias="explicitAttrs")
    """Only named fields become attributes, unless a group or device says otherwise."""
    fields: Fields | None = None
    entities: tuple[EntityRule, ...] = Field(default=(), alias="entity")
    attributes: dict[str, AttributeName] = Field(default_factory=dict)

    @property
    def bears_identity(self) -> bool:
        """Whether the payloads tell about persons, so that they are never shown as they are."""
        return self.fields is not None and bool(self.fields.sensitive)

    @property
    def allowed(self) -> frozenset[str]:
        """Fields that pass the allow-list (empty: there is none)."""
        return frozenset((*self.fields.plain, *self.fields.sensitive)) if self.fields else frozenset()

    @property
    def told(self) -> frozenset[str]:
        """Names that a template may use of every message: topic parts and fields."""
        received = frozenset((self.received,)) if self.received else frozenset()
        return names_in_all((*self.topics, *self.routes)) | self.allowed | received

    def settings(self) -> frozenset[str]:
        """Names of the device settings the rules of this profile need."""
        rules = (rule for entity in self.entities for rule in entity.attributes.values())
        return frozenset(name for rule in rules for name in rule.settings())

    @model_validator(mode="after")
    def _can_be_reached(self) -> Self:
        if not (self.topics or self.routes):
            raise ValueError("a profile has topics, or routes, or both")
        if self.codec is not None and self.codec not in CODECS.get(self.protocol, ()):
            raise ValueError(f"codec: {self.protocol} has none of that name")
        if self.signed is not None and self.protocol not in SIGNATURES:
            raise ValueError(f"signed: messages of {self.protocol} are not signed")
        if bad := [route.pattern for route in self.routes if not route.pattern.startswith("/")]:
            raise ValueError(f"routes: {bad[0]} does not start with /")
        return self

    @model_validator(mode="after")
    def _can_fill_its_templates(self) -> Self:
        given = self.told
        if self.fields is not None:
            self._require_known(self.device, given, "device")
            if self.sequence is not None:
                self._require_known(self.sequence.of, given, "sequence.of")
            if self.dedup is not None:
                self._require_known(self.dedup, given | ID_PARTS, "dedup")
        for entity in self.entities:
            self._require_known(entity.id, given | ID_PARTS | entity.attributes.keys(), f"id of {entity.type}")
        return self

    @staticmethod
    def _require_known(template: Template, given: frozenset[str], what: str) -> None:
        if unknown := set(template.names) - given:
            raise ValueError(f"{what}: nothing is called {', '.join(sorted(unknown))}")

    @model_validator(mode="after")
    def _lets_nothing_out(self) -> Self:
        sensitive = frozenset(self.fields.sensitive) if self.fields else frozenset()
        if sensitive and not self.entities:
            raise ValueError("sensitive fields need entity rules: without them every field becomes an attribute")
        if self.dedup is not None:
            self._require_plain(self.dedup, sensitive, "dedup")
        for entity in self.entities:
            self._require_plain(entity.id, sensitive, f"id of {entity.type}")
            for name, rule in entity.attributes.items():
                self._check(rule, f"attribute {name} of {entity.type}", sensitive)
        return self

    def _check(self, rule: AttributeRule, what: str, sensitive: frozenset[str]) -> None:
        if rule.field is None:
            return
        if self.fields is not None and rule.field not in self.told:
            raise ValueError(f"{what} reads {rule.field}, which is not in the allow-list [fields]")
        if rule.field in sensitive and not rule.hides:
            raise ValueError(f"{what} would store the sensitive field {rule.field}; use pseudonym or classify")

    @staticmethod
    def _require_plain(template: Template, sensitive: frozenset[str], what: str) -> None:
        if revealed := sensitive.intersection(template.names):
            raise ValueError(f"{what} would reveal the sensitive field {', '.join(sorted(revealed))}")


def attribute_spec(field: str, name: AttributeName) -> AttributeSpec:
    """Return the specification of an attribute as a file names it."""
    return AttributeSpec(
        field=field,
        name=name.name,
        type=name.kind,
        unit=name.unit,
        from_unit=name.from_unit,
        expression=name.expression,
        skip=name.skip,
        entity_name=name.entity_name,
        entity_type=name.entity_type,
        low=name.low,
        high=name.high,
    )


def _require_conversion(source: str | None, target: str | None) -> None:
    if source is not None and (source, target) not in CONVERSIONS:
        raise ValueError(f"there is no conversion from {source} to {target}; add a row to agents/units.py")


def _require_range(low: float | None, high: float | None) -> None:
    if low is not None and high is not None and low > high:
        raise ValueError("min is more than max")


def load_profiles(*folders: Path) -> dict[str, Profile]:
    """Return the profiles of these folders by name (the file's); a later folder replaces an earlier one's."""
    return {path.stem: load_profile(path) for folder in folders for path in sorted(folder.glob("*.toml"))}


def load_profile(path: Path) -> Profile:
    """Read one profile; `ConfigurationError` names file, key and rule."""
    return parse_file(path, Profile, name=path.stem)
