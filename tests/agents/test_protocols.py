"""What every decoder promises."""

import base64
import json
from datetime import datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.errors import MeasureError, NotAuthentic
from agents.measure import Measure
from agents.protocols import CODECS, PROTOCOLS, esp_rfid, iotagent_json, lorawan, onvif, uhppoted
from agents.protocols.base import read_json
from tests.agents.corpus import CASES, RECEIVED_AT
from tests.agents.payloads import JSON, nearly_right

TOPICS = [
    {"device": "d"},
    {"apikey": "k", "device": "d"},
    {"apikey": "k", "device": "d", "attribute": "a"},
    {"device": "d", "value": "relay/0"},
    {"device": "d", "component": "switch:0"},
    {"gateway": "g", "mac": "60877610DEAD"},
    *({"device": "d", "codec": codec} for codec in sorted(CODECS["lorawan"])),
]

PAYLOADS = st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode())


def payloads_of(protocol: str) -> st.SearchStrategy[bytes]:
    """Any bytes, any JSON, and what is nearly right for a protocol."""
    near = st.sampled_from([case for case in CASES if case.protocol == protocol]).flatmap(nearly_right)
    return PAYLOADS | near | near


@pytest.mark.parametrize("protocol", sorted(PROTOCOLS))
@given(topic=st.sampled_from(TOPICS), data=st.data())
def test_any_bytes_give_measures_or_a_measure_error(protocol: str, topic: dict[str, str], data: st.DataObject) -> None:
    payload = data.draw(payloads_of(protocol))
    try:
        measures = PROTOCOLS[protocol](topic, payload, RECEIVED_AT)
    except MeasureError:
        return
    assert measures
    for measure in measures:
        assert isinstance(measure, Measure)
        assert measure.observed_at is None or isinstance(measure.observed_at, datetime)
        orjson.dumps(measure.values)


@pytest.mark.parametrize("protocol", sorted(PROTOCOLS))
@given(topic=st.sampled_from(TOPICS), data=st.data())
def test_decoding_is_a_function_of_its_arguments(protocol: str, topic: dict[str, str], data: st.DataObject) -> None:
    payload = data.draw(payloads_of(protocol))

    def outcome() -> object:
        try:
            return PROTOCOLS[protocol](topic, payload, RECEIVED_AT)
        except MeasureError as error:
            return error.reason, str(error)

    assert outcome() == outcome()


@pytest.mark.parametrize("protocol", sorted(PROTOCOLS))
@pytest.mark.parametrize(
    "payload",
    [b"", b"\x00", b"\xff\xfe", b"{", b"[" * 2000, b'{"a":' * 2000, b"nul", b'"' + b"x" * 1_000_000 + b'"', b"1e999"],
    ids=lambda payload: repr(payload[:8]),
)
def test_classic_garbage_is_refused(protocol: str, payload: bytes) -> None:
    with pytest.raises(MeasureError):
        PROTOCOLS[protocol]({"device": "d"}, payload, RECEIVED_AT)


def test_error_of_broken_json_does_not_carry_the_document() -> None:
    with pytest.raises(MeasureError) as caught:
        read_json(b'{"username":"Salma Bennani"')
    assert "Salma" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        ("2019-08-09 16:18:55 PDT", "2019-08-09T16:18:55-07:00"),
        ("2026-04-02 08:00:01 UTC", "2026-04-02T08:00:01+00:00"),
        ("2026-04-02 09:00:01 +01", "2026-04-02T09:00:01+01:00"),
        ("2026-04-02 09:00:01 +0530", "2026-04-02T09:00:01+05:30"),
        ("2026-04-02 09:00:01 -03:30", "2026-04-02T09:00:01-03:30"),
        ("2026-04-02 09:00:01 IST", "2026-04-02T09:00:01"),
        ("2026-04-02 09:00:01", "2026-04-02T09:00:01"),
    ],
)
def test_uhppoted_timestamps(stamp: str, expected: str) -> None:
    event = {"device-id": 1, "door-id": 1, "event-id": 1, "timestamp": stamp}
    (measure,) = uhppoted.decode({}, json.dumps(event).encode(), RECEIVED_AT)
    assert measure.observed_at == datetime.fromisoformat(expected)
    assert (measure.observed_at.tzinfo is None) == (datetime.fromisoformat(expected).tzinfo is None)


def test_esp_rfid_leaves_the_name_behind() -> None:
    body = {"type": "access", "time": 1, "access": "Always", "uid": "a", "username": "Salma Bennani"}
    (measure,) = esp_rfid.decode({}, json.dumps(body).encode(), RECEIVED_AT)
    assert measure.values == {"time": 1, "access": "Always", "uid": "a"}


def test_onvif_forms_give_the_same_measure() -> None:
    items = {"ObjectId": "15", "Temperature": "310.6"}
    simple = {"SimpleItem": [{"Name": name, "Value": value} for name, value in items.items()]}
    bodies = [{"UtcTime": "2026-04-02T08:00:00Z", "Data": section} for section in (items, simple)]
    first, second = (onvif.decode({}, json.dumps(body).encode(), RECEIVED_AT) for body in bodies)
    assert first == second


@given(payload=st.binary(max_size=40), codec=st.sampled_from(sorted(CODECS["lorawan"])))
def test_any_frame_gives_measures_or_a_measure_error(payload: bytes, codec: str) -> None:
    uplink = {"deviceInfo": {}, "data": base64.b64encode(payload).decode()}
    try:
        measures = lorawan.decode({"codec": codec}, json.dumps(uplink).encode(), RECEIVED_AT)
    except MeasureError:
        return
    orjson.dumps([measure.values for measure in measures])


@given(payload=st.binary(max_size=60), key=st.binary(min_size=1, max_size=8))
def test_bytes_that_nobody_has_signed_are_refused(payload: bytes, key: bytes) -> None:
    with pytest.raises(NotAuthentic):
        uhppoted.authenticate(payload, key)


@pytest.mark.parametrize(
    ("payload", "value"), [(b"22.5", 22.5), (b'"on"', "on"), (b"on", "6f6e"), (b"\xff\x00", "ff00")]
)
def test_single_attribute_payload_is_json_or_hexadecimal(payload: bytes, value: object) -> None:
    (measure,) = iotagent_json.decode({"device": "d", "attribute": "x"}, payload, RECEIVED_AT)
    assert measure.values == {"x": value}
