"""How all transports reach the world outside: permitted addresses only, and certificates checked."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Any

import aiohappyeyeballs
from aiohttp import AddrInfoType

from broker.address_rule import AddressRule
from broker.web_address import GuardedResolver

_LOOKUPS_COUNT = 32
_REMEMBERED_S = 30.0
_SECOND_ADDRESS_AFTER_S = 0.25


class Outside:
    """What connections of the notifier are made with.

    `rule` says which addresses they may have; it is asked about each address that a name is resolved to. `ca_file` is a
    PEM file with certificate authorities that are trusted besides those of the system.
    """

    def __init__(self, rule: AddressRule, ca_file: str = "") -> None:
        self.resolver = GuardedResolver(rule, _LOOKUPS_COUNT, _REMEMBERED_S)
        self.tls = ssl.create_default_context()
        if ca_file:
            self.tls.load_verify_locations(ca_file)

    async def connect(self, host: str, port: int, *, is_tls: bool) -> socket.socket:
        """A connection, not blocking, to the first permitted address that takes it; OSError if none does."""
        found = await self.resolver.resolve(host, port, socket.AF_UNSPEC)
        addresses: list[AddrInfoType] = [
            (item["family"], socket.SOCK_STREAM, 0, "", (item["host"], port)) for item in found
        ]
        connected = await aiohappyeyeballs.start_connection(
            addresses,
            happy_eyeballs_delay=_SECOND_ADDRESS_AFTER_S,
            interleave=1,
            socket_factory=self.resolver.socket_for,
        )
        try:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return await self._secured(connected, host) if is_tls else connected
        except BaseException:
            connected.close()
            raise

    async def close(self) -> None:
        """Lets go of the threads of look-ups."""
        await self.resolver.close()

    async def _secured(self, plain: socket.socket, host: str) -> ssl.SSLSocket:
        """TLS on a connection, its certificate checked, without blocking."""
        loop = asyncio.get_running_loop()
        secured = self.tls.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False)
        try:
            while True:
                try:
                    secured.do_handshake()
                except ssl.SSLWantReadError:
                    await _ready(secured.fileno(), loop.add_reader, loop.remove_reader)
                except ssl.SSLWantWriteError:
                    await _ready(secured.fileno(), loop.add_writer, loop.remove_writer)
                else:
                    return secured
        except BaseException:
            secured.close()
            raise


async def _ready(descriptor: int, watch: Callable[..., Any], unwatch: Callable[[int], Any]) -> None:
    """Returns when a descriptor can be read from or written to."""
    ready = asyncio.Event()
    watch(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        unwatch(descriptor)
