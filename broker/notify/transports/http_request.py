"""The request of a notification: all of it but the body is the same each time, so it is made once."""

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from yarl import URL

from broker.notify.transports.base import Destination
from broker.notify.transports.http_pool import Origin, Pool

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NOT_IN_VALUES = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_OURS = frozenset({"connection", "content-length", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"})
"""Headers that say how this very message is sent over this very connection: a receiver has no say in them."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """Where requests go, and their head up to the number of bytes of the body."""

    origin: Origin
    head: bytes

    def request(self, body: bytes) -> bytes:
        """A request with this body."""
        return b"%b%d\r\n\r\n%b" % (self.head, len(body), body)


def prepared(destination: Destination, pool: Pool) -> Prepared:
    """What is constant for a destination. ValueError if its URI or a header cannot be used for HTTP."""
    url = URL(destination.uri)
    host, port = url.raw_host, url.port
    if not host or not port:
        raise ValueError("no host or port")
    headers = {"Host": url.host_port_subcomponent or host, "User-Agent": "Medina", "Accept": "*/*"}
    if url.raw_user is not None or url.raw_password is not None:
        account = f"{unquote(url.raw_user or '')}:{unquote(url.raw_password or '')}"
        headers["Authorization"] = f"Basic {b64encode(account.encode()).decode()}"
    lines = [f"POST {url.raw_path_qs} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in _with(headers, destination.headers).items()]
    head = "\r\n".join([*lines, "Content-Length: "]).encode()
    return Prepared(pool.origin(host, port, is_tls=url.scheme == "https"), head)


def _with(headers: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, str]:
    """The headers, those that are wanted instead of ours of the same name."""
    names = {name.lower() for name in wanted}
    made = {name: value for name, value in headers.items() if name.lower() not in names}
    for name, value in wanted.items():
        if not _NAME.fullmatch(name) or _NOT_IN_VALUES.search(value):
            raise ValueError("not a header")
        if name.lower() not in _OURS:
            made[name] = value.strip()
    return made
