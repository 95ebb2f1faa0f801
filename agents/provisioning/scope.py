"""Where a provisioning request works: the two headers every one of them has."""

from typing import NamedTuple

_EVERY_PATH = "/*"


class Scope(NamedTuple):
    """`fiware-service` (in lower case, as the agents keep it) and `fiware-servicepath`."""

    service: str
    servicepath: str

    @property
    def path_or_all(self) -> str | None:
        """The path to look under; None for `/*`, every path."""
        return None if self.servicepath == _EVERY_PATH else self.servicepath
