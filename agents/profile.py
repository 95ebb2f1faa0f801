"""Profile files: what the messages of one vendor mean. A new vendor is one file in `agents/profiles/`.

The keys are described in docs/integrators.md. A profile that could let a sensitive field out other than as a
pseudonym or a class is refused when it is read.
"""

import re
from fnmatch import translate
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from agents.errors import ConfigurationError
from agents.file_model import FileModel, parse_file, parse_text
from agents.liveness import Liveness, Scheme, names_in_all
from agents.profile_attributes import AttributeName, AttributeRule
from agents.protocols import CODECS, PROTOCOLS, SIGNATURES
from agents.templates import Template

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


ID_PARTS = frozenset({"device", "stamp"})
"""What every id template may use besides topic parts, fields and attributes: the device's id and its time."""

Pattern = Annotated[Template, BeforeValidator(_template)]


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
    flat: bool = False
    """Members of objects are fields of their own, `outer.inner`, where the protocol leaves objects as they are."""
    time: str | None = None
    """The field with the device's own time, where the protocol knows none: ISO 8601, or (milli)seconds since 1970."""
    received: str | None = None
    """The field that tells when the message came."""
    dedup: Pattern | None = None
    """What two copies of one measure have in common, of one device."""
    sequence: Sequence | None = None
    liveness: Liveness = Liveness()
    ids: tuple[str, ...] = ()
    """Patterns of the ids that the vendor's devices have, where other senders use topics of the same form."""
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

    @cached_property
    def _ids(self) -> re.Pattern[str]:
        return re.compile("|".join(map(translate, self.ids)))

    def may_be(self, device: str) -> bool:
        """Whether a device nobody has named may be one of this vendor's, by its id."""
        return not self.ids or self._ids.match(device) is not None

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
        if self.ids and "device" not in names_in_all((*self.topics, *self.liveness.topics)):
            raise ValueError("ids: each topic has to tell the {device}")
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
            there_is = ", ".join(sorted(given)) or "nothing"
            raise ValueError(f"{what}: nothing is called {', '.join(sorted(unknown))}; there is {there_is}")

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


def load_profiles(*folders: Path) -> dict[str, Profile]:
    """Return the profiles of these folders by name (the file's); a later folder replaces an earlier one's."""
    return {path.stem: load_profile(path) for folder in folders for path in sorted(folder.glob("*.toml"))}


def profile_of(text: str, name: str) -> Profile:
    """Return the profile of a file's text; `ConfigurationError` names key and rule."""
    return parse_text(text, name, Profile, name=name)


def load_profile(path: Path) -> Profile:
    """Read one profile; `ConfigurationError` names file, key and rule."""
    return parse_file(path, Profile, name=path.stem)
