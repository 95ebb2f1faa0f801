"""Host names resolved once, and only to addresses that may be reached: no way round through DNS (rebinding)."""

import asyncio
import ipaddress
import socket
from concurrent.futures import ThreadPoolExecutor

from aiohttp.abc import AbstractResolver, ResolveResult

_LOOKUPS_COUNT = 4
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public Internet: not loopback, private, link-local, multicast or reserved.

    An IPv6 address that stands for an IPv4 one (mapped, 6to4, Teredo, NAT64) counts as that one.
    """
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo and ip.teredo[1])
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner:
            return is_public(str(inner))
    return ip.is_global and not ip.is_multicast


def is_address(host: str) -> bool:
    """Whether a host is written as an IP address, which nobody resolves."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


class PublicResolver(AbstractResolver):
    """Resolves names for an aiohttp connector, which connects to the very addresses that were checked here.

    It has threads of its own: a DNS server that is slow to answer does not keep others from being served.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_LOOKUPS_COUNT, thread_name_prefix="dns")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The public addresses of a host; OSError if it has none."""
        found = await asyncio.get_running_loop().run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)
        )
        addresses = [str(item[4][0]) for item in found]
        public = [address for address in addresses if is_public(address)]
        if not public:
            raise OSError(None, f"{host} has no public address")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in dict.fromkeys(public)
        ]

    async def close(self) -> None:
        """Lets go of the threads; look-ups under way end on their own."""
        self._threads.shutdown(wait=False, cancel_futures=True)
