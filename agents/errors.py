"""Errors of the IoT agent.

AgentError
├── ConfigurationError        the operator's files or settings: the agent does not start
│   └── TopicError            a topic pattern, or a part that does not fit into one
├── StoreUnavailable          MongoDB does not answer
├── BrokerUnavailable         the context broker does not answer, or not as it should
├── Fenced                    another agent has taken over what this one was about to do
├── ContractError             a request that the FIWARE agents refuse: name, text and status are theirs
├── NotTaken                  the agent cannot take a message now: it may come again
├── InvalidExpression         an expression of a device, a group or a profile that cannot be understood
└── MeasureError              the device's message: counted, kept, logged, acknowledged; the loop goes on
    ├── UnknownTopic          no profile reads this topic
    ├── TooLarge              longer than the limit
    ├── NotJson               invalid UTF-8, truncated, nested too deeply, not JSON at all
    ├── NotUltraLight         not what UltraLight 2.0 says
    ├── NotCbor               not CBOR
    ├── NotMultipart          not multipart as HTTP devices send it
    ├── NotAuthentic          not signed with the operator's key
    ├── WrongShape            JSON, but not what the protocol says
    ├── Empty                 nothing in it that could be stored
    ├── Implausible           a value no such device can have measured: left out
    ├── Gap                   messages before this one are missing: said, the message itself is taken
    ├── ExpressionFailed      an expression cannot take the values of the measure
    ├── UnknownDevice         neither provisioned nor accepted by a group
    │   └── UnknownGroup      not even the apikey is known
    ├── NoSuchCommand         the result of a command that the device does not have
    ├── NoEndpoint            it asks to be told something, and there is no way to tell it
    ├── BrokerRefused         the context broker would not take the entity
    │   └── BrokerFails       it cannot write the entity, though it writes others
    ├── TooMany               the device sends more than it may
    └── Unexpected            a fault of the agent itself

The text of a `MeasureError` never contains a value of the payload: it names fields, shapes and sizes only, because it
reaches logs whatever the payload held.
"""

from typing import ClassVar


class AgentError(Exception):
    """Root of the errors of the agent."""


class ConfigurationError(AgentError):
    """The agent cannot start: says which file or setting, which key, and the rule that is broken."""


class TopicError(ConfigurationError):
    """A topic pattern that cannot be understood, or a part that does not fit into its place."""


class StoreUnavailable(AgentError):
    """MongoDB does not answer: nothing is known of what was asked for."""


class BrokerUnavailable(AgentError):
    """The context broker does not answer, or refuses what it should not: says what was asked, and the answer."""


class Fenced(AgentError):
    """Another agent has taken over the session: what this one had of it is the other's now."""


class ContractError(AgentError):
    """A request that is refused the way the FIWARE agents do: `{"name": …, "message": …}` with a status."""

    name: ClassVar[str] = "BAD_REQUEST"
    status: ClassVar[int] = 400


class NotTaken(AgentError):
    """Too much waits, or the agent stops: the caller still has the message and may send it again."""


class InvalidExpression(AgentError):
    """An expression that cannot be understood: says where, and what was expected there."""


class MeasureError(AgentError):
    """A message no measure could be made of. `reason` is the label in metrics and at /rejected."""

    reason: ClassVar[str] = "bad-message"


class UnknownTopic(MeasureError):
    """No profile reads this topic."""

    reason = "unknown-topic"


class TooLarge(MeasureError):
    """The payload is longer than the limit."""

    reason = "too-large"


class NotJson(MeasureError):
    """The payload is not JSON."""

    reason = "not-json"


class NotUltraLight(MeasureError):
    """The payload is not UltraLight 2.0."""

    reason = "not-ultralight"


class NotCbor(MeasureError):
    """The payload is not CBOR."""

    reason = "not-cbor"


class NotMultipart(MeasureError):
    """The payload is not multipart, or none of its parts is the event."""

    reason = "not-multipart"


class NotAuthentic(MeasureError):
    """The message is not signed, or not with the operator's key."""

    reason = "not-authentic"


class Implausible(MeasureError):
    """A value is outside the range of its attribute: it is left out, the rest of the message is stored."""

    reason = "implausible"


class Gap(MeasureError):
    """Messages before this one are missing; the message itself is stored."""

    reason = "gap"


class WrongShape(MeasureError):
    """The payload is JSON, but a field is missing or has another type than the protocol says."""

    reason = "wrong-shape"


class Empty(MeasureError):
    """The payload holds nothing that could be stored."""

    reason = "empty"


class ExpressionFailed(MeasureError):
    """An expression cannot take the values of the measure: names the transform, never a value."""

    reason = "expression-failed"


class UnknownDevice(MeasureError):
    """The device is neither provisioned nor accepted by a group. `key`: apikey and id, as the message has them."""

    reason = "unknown-device"

    def __init__(self, text: str, apikey: str = "", device: str = "") -> None:
        super().__init__(text)
        self.key = (apikey, device)


class UnknownGroup(UnknownDevice):
    """There is no group of the apikey, and no device."""


class NoSuchCommand(MeasureError):
    """The device reports the result of a command that it does not have."""

    reason = "no-such-command"


class NoEndpoint(MeasureError):
    """The device asks to be told its configuration, and has no endpoint where it could be."""

    reason = "no-endpoint"


class BrokerRefused(MeasureError):
    """The context broker refused the entity (4xx, or an entry in `errors` of a 207)."""

    reason = "broker-refused"


class BrokerFails(BrokerRefused):
    """The context broker answers 500 for the entity for good, and writes others meanwhile."""

    reason = "broker-fails"


class TooMany(MeasureError):
    """The device sends more than it may."""

    reason = "too-many"


class Unexpected(MeasureError):
    """A fault of the agent: the message is kept aside so that those behind it are not held up."""

    reason = "unexpected"
