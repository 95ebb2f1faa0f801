"""How all transports reach the world outside: permitted addresses only, and certificates checked."""

import socket
import ssl

import aiohappyeyeballs
from aiohttp import AddrInfoType

from broker.address_rule import AddressRule
from broker.web_address import GuardedResolver

_LOOKUPS_COUNT = 32
_SECOND_ADDRESS_AFTER_S = 0.25


class Outside:
    """What connections of the notifier are made with.

    `rule` says which addresses they may have; it is asked about each address that a name is resolved to. `ca_file` is a
    PEM file with certificate authorities that are trusted besides those of the system.
    """

    def __init__(self, rule: AddressRule, ca_file: str = "") -> None:
        self.resolver = GuardedResolver(rule, _LOOKUPS_COUNT)
        self.tls = ssl.create_default_context()
        if ca_file:
            self.tls.load_verify_locations(ca_file)

    async def connect(self, host: str, port: int) -> socket.socket:
        """A TCP connection, not blocking, to the first permitted address that takes it; OSError if none does."""
        found = await self.resolver.resolve(host, port, socket.AF_UNSPEC)
        addresses: list[AddrInfoType] = [
            (item["family"], socket.SOCK_STREAM, 0, "", (item["host"], port)) for item in found
        ]
        return await aiohappyeyeballs.start_connection(
            addresses,
            happy_eyeballs_delay=_SECOND_ADDRESS_AFTER_S,
            interleave=1,
            socket_factory=self.resolver.socket_for,
        )

    async def close(self) -> None:
        """Lets go of the threads of look-ups."""
        await self.resolver.close()
