"""What PyMongo leaves undone, put right for the tests, which take every warning for an error."""

import asyncio
import socket
from typing import Any

from pymongo import pool_shared

_connect = pool_shared._async_create_connection


def close_sockets_of_broken_off_connects() -> None:
    """Lets connects that are cancelled close their sockets.

    PyMongo (4.20) leaves these sockets to the garbage collector. That closes them at once, so nothing is lost,
    but its ResourceWarning would fail whichever test runs at that moment.
    """
    pool_shared._async_create_connection = _closing  # type: ignore[assignment]


async def _closing(*arguments: Any) -> socket.socket:
    connecting = asyncio.ensure_future(_connect(*arguments))
    try:
        return await asyncio.shield(connecting)
    except asyncio.CancelledError:
        connecting.add_done_callback(_close)
        raise


def _close(connecting: asyncio.Future[socket.socket]) -> None:
    if not connecting.cancelled() and connecting.exception() is None:
        connecting.result().close()
