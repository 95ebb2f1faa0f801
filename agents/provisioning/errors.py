"""What the provisioning API refuses, in the words of the FIWARE agents (iotagent-node-lib, lib/errors.js).

ContractError
├── MissingHeaders        400  fiware-service, fiware-servicepath, or a mandatory parameter
├── WrongSyntax           400  the body is not what the API says
├── MissingAttributes     400  a device without device_id
├── MissingConfigParams   400  a group without entity_type
├── BadRequest            400  a change that is not allowed
├── BadExpression         400  an expression that cannot be understood
├── MismatchedService     403  a group of another service
├── DeviceNotFound        404
├── DeviceGroupNotFound   404
├── DuplicateDeviceId     409
├── DuplicateGroup        409
└── RegistryNotAvailable  503  the agent has no MongoDB, or it does not answer
"""

from agents.errors import ContractError


class MissingHeaders(ContractError):
    """Headers, or query parameters, are missing."""

    name = "MISSING_HEADERS"


class WrongSyntax(ContractError):
    """The body is not what the API says."""

    name = "WRONG_SYNTAX"


class MissingAttributes(ContractError):
    """A device without an id."""

    name = "MISSING_ATTRIBUTES"


class MissingConfigParams(ContractError):
    """A group without what every group needs."""

    name = "MISSING_CONFIG_PARAMS"


class BadRequest(ContractError):
    """A change that is not allowed."""

    name = "BAD_REQUEST"


class BadExpression(ContractError):
    """An expression that cannot be understood."""

    name = "INVALID_EXPRESSION"


class MismatchedService(ContractError):
    """The group belongs to another service or subservice."""

    name = "MISMATCHED_SERVICE"
    status = 403


class DeviceNotFound(ContractError):
    """There is no such device."""

    name = "DEVICE_NOT_FOUND"
    status = 404


class DeviceGroupNotFound(ContractError):
    """There is no such group."""

    name = "DEVICE_GROUP_NOT_FOUND"
    status = 404


class DuplicateDeviceId(ContractError):
    """There already is such a device."""

    name = "DUPLICATE_DEVICE_ID"
    status = 409


class DuplicateGroup(ContractError):
    """There already is a group of the resource and apikey."""

    name = "DUPLICATE_GROUP"
    status = 409


class RegistryNotAvailable(ContractError):
    """The agent has no registry, or it does not answer now."""

    name = "REGISTRY_NOT_AVAILABLE"
    status = 503
