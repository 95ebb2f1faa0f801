"""What can be wrong with a request, by the standard's error types (ETSI GS CIM 009 clause 5.5.2, table 6.3.2-1).

NgsiError
├── InvalidRequest        400  not JSON, unknown parameter or option
├── BadRequestData        400  understood, but against the data model or a grammar
├── AlreadyExists         409
├── ResourceNotFound      404
├── NonexistentTenant     404
├── TooManyResults        403
├── TooComplexQuery       403
├── OperationNotSupported 422  the operation cannot be done on this resource
├── NotSupported          501  known to the standard, not (yet) offered by this broker
└── LdContextNotAvailable 504
"""

from typing import ClassVar

from ngsi.vocabulary import ERRORS


class NgsiError(Exception):
    """A request that cannot be honoured; the class says who is to blame and how HTTP tells it.

    `detail` names the input, the rule and the way out. `type` is the error type URI of the standard.
    """

    name: ClassVar[str] = "InternalError"
    title: ClassVar[str] = "Internal error"
    status: ClassVar[int] = 500

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail

    @property
    def type(self) -> str:
        """The error type URI."""
        return ERRORS + self.name

    def problem(self) -> dict[str, str | int]:
        """The body of the answer: ProblemDetails of RFC 7807 as clause 5.5.3 wants it."""
        return {"type": self.type, "title": self.title, "detail": self.detail, "status": self.status}


class InvalidRequest(NgsiError):
    """The request is not well-formed: not JSON, an unknown parameter, an unknown option."""

    name = "InvalidRequest"
    title = "Invalid request"
    status = 400


class BadRequestData(NgsiError):
    """The request was understood but breaks the data model or a grammar."""

    name = "BadRequestData"
    title = "Bad request data"
    status = 400


class AlreadyExists(NgsiError):
    """The resource to create exists."""

    name = "AlreadyExists"
    title = "Already exists"
    status = 409


class ResourceNotFound(NgsiError):
    """The entity, attribute, subscription … does not exist."""

    name = "ResourceNotFound"
    title = "Resource not found"
    status = 404


class NonexistentTenant(NgsiError):
    """The tenant named by NGSILD-Tenant has never been written to (clause 4.14)."""

    name = "NonexistentTenant"
    title = "Tenant does not exist"
    status = 404


class TooManyResults(NgsiError):
    """More was asked for in one answer than the broker gives."""

    name = "TooManyResults"
    title = "Too many results"
    status = 403


class TooComplexQuery(NgsiError):
    """The query costs more than the broker gives to one."""

    name = "TooComplexQuery"
    title = "Too complex a query"
    status = 403


class OperationNotSupported(NgsiError):
    """The operation does not apply to this resource."""

    name = "OperationNotSupported"
    title = "Operation not supported"
    status = 422


class NotSupported(NgsiError):
    """A feature of the standard that this broker does not offer."""

    name = "OperationNotSupported"
    title = "Not supported by this broker"
    status = 501


class LdContextNotAvailable(NgsiError):
    """A remote @context cannot be had."""

    name = "LdContextNotAvailable"
    title = "JSON-LD context not available"
    status = 504
