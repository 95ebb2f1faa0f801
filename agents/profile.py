"""Profile files: what the messages of one vendor mean. A new vendor is one file in `agents/profiles/`.

The keys are described in docs/integrators.md. A profile that could let a sensitive field out other than as a
pseudonym or a class is refused when it is read.
"""

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from agents.errors import ConfigurationError, InvalidExpression
from agents.expressions import compile_expression
from agents.protocols import PROTOCOLS
from agents.specification import Scalar
from agents.templates import Template
from agents.topics import TopicScheme
from agents.units import CONVERSIONS

BUNDLED = Path(__file__).parent / "profiles"


def _known_protocol(name: str) -> str:
    if name not in PROTOCOLS:
        raise ValueError(f"{name!r} is no protocol; there are {', '.join(sorted(PROTOCOLS))}")
    return name


def _scheme(value: object) -> object:
    return _compiled(TopicScheme, value)


def _template(value: object) -> object:
    return _compiled(Template, value)


def _compiled(kind: type[TopicScheme] | type[Template], value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return kind(value)
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
Scheme = Annotated[TopicScheme, BeforeValidator(_scheme)]
Pattern = Annotated[Template, BeforeValidator(_template)]


class FileModel(BaseModel):
    """Base of what is read from files: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, populate_by_name=True)


Model = TypeVar("Model", bound=FileModel)


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

    @model_validator(mode="after")
    def _conversion_exists(self) -> Self:
        _require_conversion(self.from_unit, self.unit)
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
    unit: str | None = None
    from_unit: str | None = None

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
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
    type: str = Field(min_length=1)
    id: Pattern
    attributes: Annotated[dict[str, AttributeRule], Field(min_length=1)]


class Fields(FileModel):
    """The allow-list: every other field of the payload is dropped before anything looks at it."""

    plain: tuple[str, ...] = ()
    sensitive: tuple[str, ...] = ()


class Profile(FileModel):
    """One profile file. Without `entities`, every field becomes an attribute of the device's own entity."""

    name: str
    protocol: Annotated[str, AfterValidator(_known_protocol)]
    topics: Annotated[tuple[Scheme, ...], Field(min_length=1)]
    device: Pattern
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

    def settings(self) -> frozenset[str]:
        """Names of the device settings the rules of this profile need."""
        rules = (rule for entity in self.entities for rule in entity.attributes.values())
        return frozenset(name for rule in rules for name in rule.settings())

    @model_validator(mode="after")
    def _can_fill_its_templates(self) -> Self:
        given = frozenset.intersection(*(frozenset(scheme.names) for scheme in self.topics)) | self.allowed
        if self.fields is not None:
            self._require_known(self.device, given, "device")
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
        for entity in self.entities:
            self._require_plain(entity.id, sensitive, f"id of {entity.type}")
            for name, rule in entity.attributes.items():
                self._check(rule, f"attribute {name} of {entity.type}", sensitive)
        return self

    def _check(self, rule: AttributeRule, what: str, sensitive: frozenset[str]) -> None:
        if rule.field is None:
            return
        if self.fields is not None and rule.field not in self.allowed:
            raise ValueError(f"{what} reads {rule.field}, which is not in the allow-list [fields]")
        if rule.field in sensitive and not rule.hides:
            raise ValueError(f"{what} would store the sensitive field {rule.field}; use pseudonym or classify")

    @staticmethod
    def _require_plain(template: Template, sensitive: frozenset[str], what: str) -> None:
        if revealed := sensitive.intersection(template.names):
            raise ValueError(f"{what} would reveal the sensitive field {', '.join(sorted(revealed))}")


def _require_conversion(source: str | None, target: str | None) -> None:
    if source is not None and (source, target) not in CONVERSIONS:
        raise ValueError(f"there is no conversion from {source} to {target}; add a row to agents/units.py")


def load_profiles(*folders: Path) -> dict[str, Profile]:
    """Return the profiles of these folders by name (the file's); a later folder replaces an earlier one's."""
    return {path.stem: load_profile(path) for folder in folders for path in sorted(folder.glob("*.toml"))}


def load_profile(path: Path) -> Profile:
    """Read one profile; `ConfigurationError` names file, key and rule."""
    return parse_file(path, Profile, name=path.stem)


def parse_file(path: Path, model: type[Model], **given: object) -> Model:
    """Read a TOML file into a model; `ConfigurationError` names file, key and rule."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(f"{path}: there is no such file") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read as TOML: {error}") from error
    try:
        return model.model_validate({**content, **given})
    except ValidationError as error:
        raise ConfigurationError("\n".join(f"{path}: {line}" for line in _broken_rules(error))) from error


def _broken_rules(error: ValidationError) -> Iterable[str]:
    for problem in error.errors(include_url=False):
        key = ".".join(str(part) for part in problem["loc"])
        yield f"{key + ': ' if key else ''}{problem['msg'].removeprefix('Value error, ')}"
