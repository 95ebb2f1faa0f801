"""Kept connections of all receivers, by what they lead to."""

import asyncio
from collections.abc import Callable
from weakref import WeakValueDictionary

from broker.notify.transports.http_connection import Answer, Connection
from broker.notify.transports.outside import Outside

_KEEP_IDLE_S = 30.0


class Origin:
    """What a connection leads to, and those to it that are free, the one used last at the end."""

    __slots__ = ("__weakref__", "free", "host", "is_tls", "port")

    def __init__(self, host: str, port: int, *, is_tls: bool) -> None:
        self.host = host
        self.port = port
        self.is_tls = is_tls
        self.free: list[Connection] = []


class Pool:
    """As many connections as there are requests under way; those that are free for half a minute are closed."""

    def __init__(self, outside: Outside) -> None:
        self._loop = asyncio.get_running_loop()
        self._outside = outside
        self._origins: WeakValueDictionary[tuple[str, int, bool], Origin] = WeakValueDictionary()
        self._open: set[Connection] = set()
        self._sweep: asyncio.TimerHandle | None = None

    def origin(self, host: str, port: int, *, is_tls: bool) -> Origin:
        """The origin for these; it is remembered as long as somebody holds it, or a connection leads to it."""
        key = (host, port, is_tls)
        found = self._origins.get(key)
        if found is None:
            found = self._origins[key] = Origin(host, port, is_tls=is_tls)
        return found

    async def exchange(self, origin: Origin, request: bytes, deadline_s: float) -> Answer:
        """Sends a request over a free connection, else a new one. Raises what these raise.

        A kept connection may be closed by the receiver just when it is used again; then one attempt on a new one is
        fair, as no byte of an answer has come.
        """
        free = origin.free
        while free:
            connection = free.pop()
            if connection.is_open:
                try:
                    return await connection.exchange(request, deadline_s)
                except ConnectionResetError:
                    break
        async with asyncio.timeout_at(deadline_s):
            connection = await self._connect(origin)
        return await connection.exchange(request, deadline_s)

    async def close(self) -> None:
        """Ends all connections."""
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in list(self._open):
            connection.abort()
        await asyncio.sleep(0)

    async def _connect(self, origin: Origin) -> Connection:
        plain = await self._outside.connect(origin.host, origin.port, is_tls=False)
        connection = Connection(self._loop, self._keeper(origin), self._open.discard)
        try:
            await self._loop.create_connection(
                lambda: connection,
                sock=plain,
                ssl=self._outside.tls if origin.is_tls else None,
                server_hostname=origin.host.rstrip(".") if origin.is_tls else None,
            )
        except BaseException:
            plain.close()
            raise
        if connection.is_open:
            self._open.add(connection)
        return connection

    def _keeper(self, origin: Origin) -> Callable[[Connection], None]:
        def keep(connection: Connection) -> None:
            origin.free.append(connection)
            if self._sweep is None:
                self._sweep = self._loop.call_later(_KEEP_IDLE_S, self._close_idle)

        return keep

    def _close_idle(self) -> None:
        """Closes what was free for too long, and looks again when the next may have been."""
        before_s = self._loop.time() - _KEEP_IDLE_S
        is_any_left = False
        for origin in list(self._origins.values()):
            for connection in origin.free:
                if connection.since_s <= before_s:
                    connection.close()
            origin.free = [one for one in origin.free if one.is_open]
            is_any_left = is_any_left or bool(origin.free)
        self._sweep = self._loop.call_later(_KEEP_IDLE_S / 2, self._close_idle) if is_any_left else None
