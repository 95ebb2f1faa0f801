"""A notification receiver in its own process: cheap enough to outrun the notifier, and it forgets nothing when killed.

    python -m tests.end_to_end.receiver --port 9000 --log received.tsv

Each entity of each notification becomes one line of the log, written before the 204: entity id, number (the first
attribute of --number it has, else -1), sent ns (attribute "sent", else 0), received ns, subscription id; separated by
tabs. Times are CLOCK_MONOTONIC, which the processes of one machine share. `GET /count` answers how many lines this
process wrote.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from typing import Any, cast

import httptools
import orjson
import uvloop

NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"


class Log:
    """Append-only record. One `write(2)` a notification: what is in the page cache outlives a SIGKILL."""

    def __init__(self, path: str, numbers: list[str]) -> None:
        """Opens `path` for appending; other receivers may have written to it before."""
        self._numbers = numbers
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self.count = 0

    def record(self, body: bytes) -> None:
        """Write a line per entity of the notification `body`."""
        received = time.monotonic_ns()
        notification = orjson.loads(body)
        entities = notification.get("data", ())
        told = notification.get("subscriptionId", "")
        lines = [
            f"{entity['id']}\t{self._number(entity)}\t{_integer(entity.get('sent'), 0)}\t{received}\t{told}\n"
            for entity in entities
        ]
        os.write(self._file, "".join(lines).encode())
        self.count += len(lines)

    def _number(self, entity: dict[str, Any]) -> int:
        return next((_integer(entity[name], -1) for name in self._numbers if name in entity), -1)


def _integer(attribute: Any, absent: int) -> int:
    value = attribute.get("value") if isinstance(attribute, dict) else attribute
    return value if isinstance(value, int) else absent


class Connection(asyncio.Protocol):
    """One keep-alive connection of the notifier."""

    def __init__(self, log: Log) -> None:
        """Writes to `log`."""
        self._log = log
        self._parser = httptools.HttpRequestParser(self)
        self._body: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class is no subclass

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.close()

    def on_message_begin(self) -> None:
        self._body = []

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        if self._parser.get_method() == b"GET":
            count = b"%d" % self._log.count
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(count), count))
            return
        self._log.record(b"".join(self._body))
        self._transport.write(NO_CONTENT)


async def _serve(port: int, log: Log) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(log), "127.0.0.1", port, reuse_address=True)
    await server.serve_forever()


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--log", required=True)
    parser.add_argument("--number", nargs="+", default=["n"], help="attributes that may carry the number")
    arguments = parser.parse_args()
    uvloop.run(_serve(arguments.port, Log(arguments.log, arguments.number)))


if __name__ == "__main__":
    main()
