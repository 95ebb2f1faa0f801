"""One device that publishes whatever bytes it is told to, with QoS 1."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from urllib.parse import urlsplit
from uuid import uuid4

from tests.end_to_end import packets

ANSWER_WITHIN_S = 10


def publish(url: str, messages: Iterable[tuple[str, bytes]]) -> None:
    """Publish (topic, payload) pairs in order; each is acknowledged by the MQTT broker before the next."""
    server = urlsplit(url)
    with socket.create_connection((server.hostname, server.port), timeout=ANSWER_WITHIN_S) as connection:
        connection.sendall(packets.connect(f"device-{uuid4()}", None, None, keepalive_s=60))
        assert _next_packet(connection) == packets.CONNACK
        for packet_id, (topic, payload) in enumerate(messages, start=1):
            connection.sendall(packets.publish(topic, payload, packet_id))
            assert _next_packet(connection) == packets.PUBACK
        connection.sendall(packets.DISCONNECT)


def _next_packet(connection: socket.socket) -> int:
    buffer = bytearray()
    while True:
        received = connection.recv(64)
        assert received, "the MQTT broker closed the connection"
        buffer += received
        for kind, _ in packets.take(buffer):
            return kind
