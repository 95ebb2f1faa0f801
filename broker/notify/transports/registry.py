"""Which transport serves which URI scheme: the one place that knows."""

from collections.abc import Callable
from typing import Final

from broker.notify.transports.base import Destination, Outcome, Transport
from broker.notify.transports.http import HttpTransport

TRANSPORTS: Final[dict[str, Callable[[], Transport]]] = {
    "http": HttpTransport,
    "https": HttpTransport,
}


class Transports(Transport):
    """All transports as one, each made when a receiver first needs it."""

    def __init__(self, makers: dict[str, Callable[[], Transport]] | None = None) -> None:
        self._makers = TRANSPORTS if makers is None else makers
        self._made: dict[Callable[[], Transport], Transport] = {}

    async def send(self, destination: Destination, body: bytes) -> Outcome:
        """See Transport; an unknown scheme is a failed attempt."""
        scheme = destination.uri.partition(":")[0].lower()
        maker = self._makers.get(scheme)
        if maker is None:
            return Outcome(f"no transport for the scheme {scheme!r}")
        transport = self._made.get(maker)
        if transport is None:
            transport = self._made[maker] = maker()
        return await transport.send(destination, body)

    async def close(self) -> None:
        """See Transport."""
        for transport in self._made.values():
            await transport.close()
