"""Whether a device is there: how often it should speak, and what its availability topic says (MQTT's last will)."""

from collections.abc import Iterable
from typing import Annotated, Self

import orjson
from pydantic import BeforeValidator, Field, model_validator

from agents.errors import ConfigurationError, WrongShape
from agents.file_model import FileModel
from agents.measure import FOREIGN, LIVENESS, Measure
from agents.topics import TopicScheme

MAX_STATE_BYTES = 256
"""An availability message is a word or a small object."""


def scheme(value: object) -> object:
    """Compile a topic pattern; ValueError when it cannot be understood."""
    if not isinstance(value, str):
        return value
    try:
        return TopicScheme(value)
    except ConfigurationError as error:
        raise ValueError(str(error)) from error


Scheme = Annotated[TopicScheme, BeforeValidator(scheme)]


class Liveness(FileModel):
    """`[liveness]` of a profile."""

    interval_s: int | float | None = Field(default=None, alias="interval", gt=0)
    """Seconds between two messages of such a device, unless its own entry says otherwise."""
    topics: tuple[Scheme, ...] = ()
    """Availability topics."""
    online: tuple[str, ...] = ("online",)
    offline: tuple[str, ...] = ("offline",)
    member: str | None = None
    """The member that holds the state, where a payload is an object."""

    @model_validator(mode="after")
    def _topics_name_the_device(self) -> Self:
        if bad := [topic.pattern for topic in self.topics if "device" not in topic.names]:
            raise ValueError(f"the topic {bad[0]} does not tell the {{device}}")
        return self

    def read(self, payload: bytes) -> Measure:
        """Return what an availability message says; `WrongShape` for a state that is neither.

        An empty one is how a retained message is cleared (MQTT 3.1.1, 3.3.1.3): it comes from who tidies up, and says
        nothing about the device.
        """
        if not payload:
            return Measure({}, kind=FOREIGN)
        word = self._word(payload)
        if word not in self.online and word not in self.offline:
            raise WrongShape(f"the state is none of {', '.join((*self.online, *self.offline))}")
        return Measure({"online": word in self.online}, kind=LIVENESS)

    def _word(self, payload: bytes) -> object:
        if len(payload) > MAX_STATE_BYTES:
            raise WrongShape(f"{len(payload)} bytes are no state")
        try:
            value = orjson.loads(payload)
        except orjson.JSONDecodeError:
            return payload.decode("utf-8", "replace").strip()
        if isinstance(value, dict) and self.member is not None:
            value = value.get(self.member)
        return str(value).lower() if isinstance(value, bool) else value


def names_in_all(schemes: Iterable[TopicScheme]) -> frozenset[str]:
    """Names that every one of these patterns has."""
    return frozenset.intersection(*(frozenset(each.names) for each in schemes))
