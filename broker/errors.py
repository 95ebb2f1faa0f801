"""What can fail in the broker beyond what is wrong with a request (`ngsi.errors` has that tree).

BrokerError
├── SettingsError            a setting that cannot work; the process does not start
├── TenantLeaving            503  a tenant of the name is being deleted
├── StorageError
│   ├── StorageUnavailable   503  MongoDB does not answer; whether a write was done is not known
│   └── WriteConflict             another process wrote the entity first; the committer applies the request anew
└── Overloaded               503  a queue is full

HttpRefusal                  401, 403, 405, 406, 408, 411, 413, 415: the request is refused for its HTTP form

ContextNotAtHand             never told to a client: an @context has to be brought first
"""

from ngsi.errors import NgsiError


class BrokerError(NgsiError):
    """Something on the broker's side prevents the work."""

    name = "InternalError"
    title = "The broker cannot do this now"
    status = 503
    retry_after_s = 1


class SettingsError(BrokerError):
    """A setting that cannot work: the text names it, the rule and the way out."""

    title = "Unusable setting"
    status = 500


class TenantLeaving(BrokerError):
    """The tenant is being deleted; when that is done it can be created anew."""

    title = "Tenant is being deleted"
    retry_after_s = 3


class StorageError(BrokerError):
    """MongoDB refused or failed."""

    title = "Storage failed"


class StorageUnavailable(StorageError):
    """MongoDB does not answer in time. A write may or may not have been done; it was not acknowledged."""

    title = "Storage unavailable"


class WriteConflict(StorageError):
    """The stored revision is not the one that the write was made for."""

    title = "Write conflict"


class Overloaded(BrokerError):
    """A bounded queue is full: come back after `retry_after_s` seconds."""

    title = "Overloaded"


class ContextNotAtHand(Exception):  # no error yet: the document is brought, then the request starts anew
    """An @context names a document that has to be brought from the store or the web first."""

    def __init__(self, reference: str) -> None:
        super().__init__(reference)
        self.reference = reference


class HttpRefusal(NgsiError):
    """A request refused for its HTTP form (clause 6.3.2, 6.3.4): 401, 403, 405, 406, 408, 411, 413 or 415."""

    name = "InvalidRequest"

    def __init__(self, status: int, title: str, detail: str, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        super().__init__(detail)
        self.status = status  # type: ignore[misc]  # one class for these refusals
        self.title = title  # type: ignore[misc]
        self.headers = headers
