"""The publisher's packets, against the examples of OASIS MQTT 3.1.1 and any cut of the byte stream."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.end_to_end import packets


@pytest.mark.parametrize(
    ("length", "encoded"),
    [(0, "00"), (127, "7f"), (128, "8001"), (16_383, "ff7f"), (16_384, "808001"), (268_435_455, "ffffff7f")],
)
def test_remaining_length_matches_table_2_4(length: int, encoded: str) -> None:
    assert packets.remaining_length(length).hex() == encoded


def test_connect_carries_user_and_password() -> None:
    packet = packets.connect("me", "user", "secret", keepalive_s=60)
    assert packet == b"\x10\x1c\x00\x04MQTT\x04\xc2\x00\x3c\x00\x02me\x00\x04user\x00\x06secret"


@given(st.lists(st.binary(max_size=300), max_size=8), st.integers(1, 50))
def test_packets_are_found_however_the_stream_is_cut(payloads: list[bytes], cut: int) -> None:
    stream = b"".join(packets.publish("a/b", payload, 7) for payload in payloads)
    buffer, found = bytearray(), list[tuple[int, bytes]]()
    for start in range(0, len(stream), cut):
        buffer += stream[start : start + cut]
        found += packets.take(buffer)
    assert [body.removeprefix(b"\x00\x03a/b\x00\x07") for _, body in found] == payloads
    assert not buffer
