"""MQTT 3.1.1 packets of a QoS 1 publisher (OASIS MQTT 3.1.1, chapters 2 and 3), as pure functions.

paho costs more per message than the agent under test; these few bytes are all that a publisher needs.
"""

from __future__ import annotations

from collections.abc import Iterator

CONNACK = 0x20
PUBACK = 0x40
PINGREQ = b"\xc0\x00"
DISCONNECT = b"\xe0\x00"
MAX_PACKET_ID = 65_535

_PUBLISH_QOS1 = 0x32
_DUPLICATE = 0x08
_CLEAN_SESSION = 0x02
_WITH_PASSWORD = 0x40
_WITH_USER = 0x80


def text(value: str) -> bytes:
    """UTF-8 text with its two-byte length (1.5.3)."""
    raw = value.encode()
    return len(raw).to_bytes(2, "big") + raw


def remaining_length(length: int) -> bytes:
    """Length of the rest of a packet, seven bits a byte (2.2.3)."""
    encoded = bytearray()
    while True:
        length, digit = divmod(length, 128)
        encoded.append(digit | 0x80 if length else digit)
        if not length:
            return bytes(encoded)


def connect(client_id: str, user: str | None, password: str | None, *, keepalive_s: int) -> bytes:
    """CONNECT with a clean session (3.1): the publisher keeps its own unacknowledged messages."""
    flags = _CLEAN_SESSION | (_WITH_USER if user else 0) | (_WITH_PASSWORD if password else 0)
    body = text("MQTT") + bytes((4, flags)) + keepalive_s.to_bytes(2, "big") + text(client_id)
    body += text(user) if user else b""
    body += text(password) if password else b""
    return b"\x10" + remaining_length(len(body)) + body


def publish(topic: str, payload: bytes, packet_id: int, *, duplicate: bool = False) -> bytes:
    """PUBLISH with QoS 1 (3.3)."""
    body = text(topic) + packet_id.to_bytes(2, "big") + payload
    first = _PUBLISH_QOS1 | (_DUPLICATE if duplicate else 0)
    return bytes((first,)) + remaining_length(len(body)) + body


def take(buffer: bytearray) -> Iterator[tuple[int, bytes]]:
    """Remove every complete packet from `buffer` and yield its type (upper four bits of the first byte) and body."""
    while len(buffer) >= 2:
        length = shift = 0
        for position in range(1, min(len(buffer), 5)):
            length |= (buffer[position] & 0x7F) << shift
            shift += 7
            if not buffer[position] & 0x80:
                break
        else:
            return
        end = position + 1 + length
        if len(buffer) < end:
            return
        packet = buffer[0] & 0xF0, bytes(buffer[position + 1 : end])
        del buffer[:end]
        yield packet
