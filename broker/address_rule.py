"""Which addresses this process may connect to on behalf of its clients, as the operator allows it."""

import ipaddress
import socket
from dataclasses import dataclass
from functools import lru_cache

PUBLIC, ANY = "public", "any"

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
_IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class AddressRule:
    """Everything permitted: all addresses, the public ones, certain networks, and hosts by their exact names.

    A host that is permitted by name may have any address: the operator trusts who gives it.
    """

    text: str
    is_any: bool
    is_public: bool
    networks: tuple[_IpNetwork, ...]
    hosts: frozenset[str]

    def permits(self, address: str) -> bool:
        """Whether an address may be connected to. Text that is no plain IP address is never permitted."""
        try:
            ip = _meant(ipaddress.ip_address(address))
        except ValueError:
            return False
        return (
            self.is_any
            or (self.is_public and _is_public(ip))
            or any(ip.version == network.version and ip in network for network in self.networks)
        )

    def trusts(self, host: str) -> bool:
        """Whether a host is permitted by its name, whatever its address."""
        return self.is_any or host.lower().rstrip(".") in self.hosts

    def refused(self, host: str) -> str | None:
        """The address for which a host of a URI is refused at once, None if names must be looked up to tell."""
        if self.trusts(host):
            return None
        address = literal(host)
        return None if address is None or self.permits(address) else address


@lru_cache(maxsize=16)
def address_rule(text: str) -> AddressRule:
    """Reads `public`, `any`, networks (10.0.0.0/8), addresses and host names, separated by commas.

    ValueError tells the item that is none of them.
    """
    items = [item.strip().lower() for item in text.split(",") if item.strip()]
    networks, hosts = [], []
    for item in items:
        if item in (PUBLIC, ANY):
            continue
        try:
            networks.append(ipaddress.ip_network(item, strict=False))
        except ValueError:
            if "/" in item or ":" in item or not item.isascii() or not _is_name(item):
                raise ValueError(f"{item!r} is neither public, any, a network, an address nor a host name") from None
            hosts.append(item.rstrip("."))
    return AddressRule(text, ANY in items, PUBLIC in items, tuple(networks), frozenset(hosts))


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public Internet: not loopback, private, link-local, multicast or reserved.

    An IPv6 address that stands for an IPv4 one (mapped, 6to4, Teredo, NAT64) counts as that one.
    """
    return _is_public(_meant(ipaddress.ip_address(address)))


def literal(host: str) -> str | None:
    """The IP address that a host is written as, also in the short forms of old (127.1, 0x7f000001); None for names.

    `localhost` and the names under it are names in form only (RFC 6761).
    """
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return "127.0.0.1"
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        pass
    if name[:1].isdecimal() and set(name) <= set("0123456789abcdefx."):
        try:
            return socket.inet_ntoa(socket.inet_aton(name))
        except OSError:
            return None
    return None


def _meant(ip: _IpAddress) -> _IpAddress:
    """The IPv4 address that an IPv6 one stands for, else the address itself."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else ip)


def _is_public(ip: _IpAddress) -> bool:
    return ip.is_global and not ip.is_multicast


def _is_name(item: str) -> bool:
    labels = item.rstrip(".").split(".")
    return not labels[-1].isdecimal() and all(label.replace("-", "").replace("_", "").isalnum() for label in labels)
