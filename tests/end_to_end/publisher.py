"""A crowd of devices in one process: numbered QoS 1 measures at a steady rate, none given up.

    python -m tests.end_to_end.publisher --url mqtt://127.0.0.1:1883 --devices 100 --count 5000 --rate 500

Message i belongs to device i % devices and carries `{"n": i // devices, "sent": <monotonic ns>}`, and the members of
--more. What the MQTT broker has not acknowledged is kept and sent again, in order, after a reconnect. Ends when
everything is acknowledged; prints `{"acknowledged", "reconnects", "seconds"}` as its last line.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast
from urllib.parse import urlsplit

import uvloop

from tests.end_to_end import packets

TICK_S = 0.001
RECONNECT_S = 0.1
KEEPALIVE_S = 60


@dataclass(frozen=True)
class Load:
    """What to publish: `count` messages of `devices`, `rate` a second (0: as fast as acknowledgements allow)."""

    url: str
    topic: str
    prefix: str
    devices: int
    count: int
    rate: float
    window: int
    more: str = ""
    """Further members of each measure, as JSON text."""
    stated: bool = False
    """Each measure states when it was made."""


class Publisher(asyncio.Protocol):
    """One connection after the other; unacknowledged messages outlive them."""

    def __init__(self, load: Load) -> None:
        """Nothing is sent before `run`."""
        self._load = load
        self._topics = [load.topic.format(device=f"{load.prefix}{number}") for number in range(load.devices)]
        self._rest = f",{load.more}}}".encode() if load.more else b"}"
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._unacknowledged: dict[int, int] = {}  # packet id -> message number, in order of sending
        self._payloads: dict[int, bytes] = {}
        self._next = 0
        self._packet_id = 0
        self._connected = self._writable = False
        self.acknowledged = 0
        self.reconnects = -1

    async def run(self) -> float:
        """Publish the whole load; seconds from the first message to the last acknowledgement."""
        await self._connect()
        started = time.monotonic()
        while self.acknowledged < self._load.count:
            if self._transport is None or self._transport.is_closing():
                await self._connect()
            self._send_due(time.monotonic() - started)
            await asyncio.sleep(TICK_S)
        if self._transport is not None:
            self._transport.write(packets.DISCONNECT)
            self._transport.close()
        return time.monotonic() - started

    async def _connect(self) -> None:
        server = urlsplit(self._load.url)
        assert server.hostname
        self._buffer.clear()
        self._connected, self._writable = False, True
        try:
            await asyncio.get_running_loop().create_connection(lambda: self, server.hostname, server.port or 1883)
        except OSError:
            self._transport = None
            await asyncio.sleep(RECONNECT_S)
            return
        assert self._transport is not None
        client_id = f"publisher-{self._load.prefix}"
        self._transport.write(packets.connect(client_id, server.username, server.password, keepalive_s=KEEPALIVE_S))
        self.reconnects += 1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class is no subclass

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport, self._connected = None, False

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        for kind, body in packets.take(self._buffer):
            if kind == packets.CONNACK:
                self._start(accepted=body[1] == 0)
            elif kind == packets.PUBACK:
                number = self._unacknowledged.pop(int.from_bytes(body[:2], "big"), None)
                if number is not None:
                    del self._payloads[number]
                    self.acknowledged += 1
        if self._load.rate == 0:
            self._send_due(0)

    def _start(self, *, accepted: bool) -> None:
        if not accepted:
            raise SystemExit("the MQTT broker refuses the publisher")
        for packet_id, number in self._unacknowledged.items():
            self._write(packet_id, number, duplicate=True)
        self._connected = True

    def _send_due(self, elapsed_s: float) -> None:
        load = self._load
        due = load.count if load.rate == 0 else min(load.count, int(elapsed_s * load.rate) + 1)
        while self._connected and self._writable and self._next < due and len(self._unacknowledged) < load.window:
            number, self._next = self._next, self._next + 1
            own = b'{"n":%d,"sent":%d' % (number // load.devices, time.monotonic_ns())
            if load.stated:
                at = datetime.now(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00")
                own += b',"TimeInstant":"%bZ"' % at.encode()
            self._payloads[number] = own + self._rest
            packet_id = self._free_packet_id()
            self._unacknowledged[packet_id] = number
            self._write(packet_id, number)

    def _free_packet_id(self) -> int:
        while True:
            self._packet_id = self._packet_id % packets.MAX_PACKET_ID + 1
            if self._packet_id not in self._unacknowledged:
                return self._packet_id

    def _write(self, packet_id: int, number: int, *, duplicate: bool = False) -> None:
        assert self._transport is not None
        topic = self._topics[number % self._load.devices]
        self._transport.write(packets.publish(topic, self._payloads[number], packet_id, duplicate=duplicate))


def _load() -> Load:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--topic", default="/json/bench/{device}/attrs")
    parser.add_argument("--prefix", default="dev-", help="device ids are PREFIX0, PREFIX1, …")
    parser.add_argument("--devices", type=int, default=100)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--rate", type=float, default=0, help="messages per second; 0: as fast as acknowledged")
    parser.add_argument("--window", type=int, default=1_000, help="unacknowledged messages at most")
    parser.add_argument("--stated", action="store_true", help="each measure states its time")
    parser.add_argument("--more", default="", help='further members of each measure, e.g. \'"t":20.5,"h":40\'')
    return Load(**vars(parser.parse_args()))


def main() -> None:
    """Publish and report."""
    publisher = Publisher(_load())
    seconds = uvloop.run(publisher.run())
    report = {"acknowledged": publisher.acknowledged, "reconnects": publisher.reconnects, "seconds": seconds}
    print(json.dumps(report), flush=True)  # noqa: T201 - the report is this program's output


if __name__ == "__main__":
    main()
