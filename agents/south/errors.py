"""What HTTP devices are refused, in the words of the FIWARE agents (iotagent-json and iotagent-ul, lib/errors.js).

ContractError
├── MandatoryParamsNotFound  400  apikey, device id or payload
├── UnsupportedType          400  a content type the route does not read
├── BadTimestamp             400  `t` is no ISO 8601 time
├── NoSuchRoute              404
├── GroupOfRouteNotFound     404  no group has this route and apikey
├── BodyTimeout              408  the body did not come in time
├── Refused                  by the reason: what a `MeasureError` is to an HTTP device
└── Unavailable              503  nothing is decided: send it again
"""

from typing import Final

from agents.errors import ContractError, MeasureError, UnknownGroup


class MandatoryParamsNotFound(ContractError):
    """A parameter that every request has is missing."""

    name = "MANDATORY_PARAMS_NOT_FOUND"


class UnsupportedType(ContractError):
    """The route does not read this content type."""

    name = "UNSUPPORTED_TYPE"


class BadTimestamp(ContractError):
    """The parameter `t` is no ISO 8601 time."""

    name = "BAD_TIMESTAMP"


class NoSuchRoute(ContractError):
    """No protocol and no group has this path."""

    name = "ROUTE_NOT_FOUND"
    status = 404


class GroupOfRouteNotFound(ContractError):
    """The path is the `resource` of groups, none of which has the apikey."""

    name = "DEVICE_GROUP_NOT_FOUND"
    status = 404


class BodyTimeout(ContractError):
    """The body did not come in time."""

    name = "REQUEST_TIMEOUT"
    status = 408


class Unavailable(ContractError):
    """Nothing is decided yet: the device should send the measure again."""

    name = "SERVICE_UNAVAILABLE"
    status = 503


class Refused(ContractError):
    """A measure that could not be taken."""

    def __init__(self, error: MeasureError) -> None:
        super().__init__(_TEXTS.get(error.reason, "{}").format(error))
        self.name, self.status = _ANSWERS.get(error.reason, ("WRONG_SYNTAX", 400))  # type: ignore[misc]
        if isinstance(error, UnknownGroup):
            self.name = "DEVICE_GROUP_NOT_FOUND"  # type: ignore[misc]


_ANSWERS: Final = {
    "not-json": ("BAD_PAYLOAD", 400),
    "not-cbor": ("BAD_PAYLOAD", 400),
    "not-multipart": ("BAD_PAYLOAD", 400),
    "not-ultralight": ("PARSE_ERROR", 400),
    "too-large": ("PAYLOAD_TOO_LARGE", 413),
    "unknown-device": ("DEVICE_NOT_FOUND", 404),
    "expression-failed": ("INVALID_EXPRESSION", 400),
    "no-such-command": ("COMMAND_NOT_FOUND", 400),
    "no-endpoint": ("ENDPOINT_NOT_FOUND", 400),
    "broker-refused": ("ENTITY_GENERIC_ERROR", 400),
    "broker-fails": ("ENTITY_GENERIC_ERROR", 500),
    "unexpected": ("INTERNAL_ERROR", 500),
}
"""Reason of a `MeasureError` -> name and status; any other: WRONG_SYNTAX, 400."""

_TEXTS: Final = {
    "not-json": "The request payload could not be parsed: {}",
    "not-ultralight": "There was a syntax error in the Ultralight request: {}",
    "broker-refused": "The context broker refused the entity: {}",
    "broker-fails": "The entity cannot be written: {}",
}
