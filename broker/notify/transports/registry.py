"""Which transport serves which URI scheme: the one place that knows."""

from collections.abc import Callable, Mapping
from typing import Final

from broker.notify.transports.base import Destination, Outcome, Transport
from broker.notify.transports.http import HttpTransport
from broker.notify.transports.mqtt import MqttTransport
from broker.notify.transports.outside import Outside

Maker = Callable[[Outside], Transport]

TRANSPORTS: Final[dict[str, Maker]] = {
    "http": HttpTransport,
    "https": HttpTransport,
    "mqtt": MqttTransport,
    "mqtts": MqttTransport,
}


class Transports(Transport):
    """All transports as one, each made when a receiver first needs it."""

    def __init__(self, outside: Outside, makers: Mapping[str, Maker] = TRANSPORTS) -> None:
        self._outside = outside
        self._makers = makers
        self._made: dict[Maker, Transport] = {}

    async def send(self, destination: Destination, body: bytes) -> Outcome:
        """See Transport; an unknown scheme is a failed attempt."""
        scheme = destination.uri.partition(":")[0].lower()
        maker = self._makers.get(scheme)
        if maker is None:
            return Outcome(f"no transport for the scheme {scheme!r}")
        transport = self._made.get(maker)
        if transport is None:
            transport = self._made[maker] = maker(self._outside)
        return await transport.send(destination, body)

    async def close(self) -> None:
        """See Transport."""
        for transport in self._made.values():
            await transport.close()
        await self._outside.close()
