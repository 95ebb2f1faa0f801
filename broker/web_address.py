"""Host names resolved once, and only to addresses that may be reached: no way round through DNS (rebinding)."""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

from aiohttp import AddrInfoType
from aiohttp.abc import AbstractResolver, ResolveResult

from broker.address_rule import AddressRule

_LOOKUPS_COUNT = 4
_REMEMBERED_COUNT = 10_000


class GuardedResolver(AbstractResolver):
    """Resolves names for an aiohttp connector, which connects to the very addresses that were checked here.

    It has threads of its own, `lookups_count` at the most: a DNS server that is slow to answer does not keep others
    from being served. Who asks for a name that is being looked up already waits for the same answer, and an answer is
    good for `remembered_s`; whether its addresses are permitted is asked each time.
    """

    def __init__(self, rule: AddressRule, lookups_count: int = _LOOKUPS_COUNT, remembered_s: float = 0.0) -> None:
        self._rule = rule
        self._remembered_s = remembered_s
        self._known: dict[tuple[str, int, int], tuple[float, list[str]]] = {}
        self._threads = ThreadPoolExecutor(lookups_count, thread_name_prefix="dns")
        self._asked: dict[tuple[str, int, int], asyncio.Future[list[str]]] = {}
        self._trusted: dict[str, list[str]] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The permitted addresses of a host; OSError if it has none."""
        addresses = await self._look_up(host, port, family)
        permitted = [address for address in addresses if self._rule.permits(address)]
        if len(permitted) < len(addresses) and self._rule.trusts(host):
            self._trusted[host] = permitted = addresses
        if not permitted:
            raise OSError(None, f"{host} has no permitted address")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in dict.fromkeys(permitted)
        ]

    def socket_for(self, address: AddrInfoType) -> socket.socket:
        """A socket for a connection to that address; OSError if it is not permitted.

        The last gate, which every connection passes: aiohttp does not ask a resolver for what looks like an address.
        """
        family, kind, protocol, _, to = address
        host = str(to[0])
        if not self._rule.permits(host) and not any(host in addresses for addresses in self._trusted.values()):
            raise OSError(None, f"{host} is not a permitted address")
        return socket.socket(family, kind, protocol)

    async def close(self) -> None:
        """Lets go of the threads; look-ups under way end on their own."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _look_up(self, host: str, port: int, family: int) -> list[str]:
        key = (host, port, family)
        until_s, known = self._known.get(key, (0.0, []))
        if until_s > monotonic():
            return known
        asked = self._asked.get(key)
        if asked is None:
            asked = asyncio.get_running_loop().run_in_executor(self._threads, _addresses, *key)
            self._asked[key] = asked
            asked.add_done_callback(lambda done: self._answered(key, done))
        return await asyncio.shield(asked)

    def _answered(self, key: tuple[str, int, int], done: asyncio.Future[list[str]]) -> None:
        del self._asked[key]
        # Its exception is seen here, also when nobody waits for it any more.
        if not done.cancelled() and done.exception() is None and self._remembered_s:
            if len(self._known) >= _REMEMBERED_COUNT:
                self._known.clear()
            self._known[key] = monotonic() + self._remembered_s, done.result()


def _addresses(host: str, port: int, family: int) -> list[str]:
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)]
