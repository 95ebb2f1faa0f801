import json
from collections.abc import Sequence
from datetime import timedelta

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.conversion import Converted, Converter
from agents.errors import MeasureError, Unexpected, UnknownDevice
from agents.fragment import Fragment
from ngsi.datetimes import is_datetime
from tests.agents.corpus import RECEIVED_AT, new_converter
from tests.agents.payloads import FORMS, ULTRALIGHT, messages

HALL = "/json/campus/zs-hall/attrs"
CONVERTER = new_converter()


@given(messages())
def test_any_bytes_on_any_topic_give_fragments_or_a_measure_error(message: tuple[str, bytes]) -> None:
    fragments: Sequence[Fragment]
    try:
        fragments = CONVERTER.convert(*message, RECEIVED_AT).fragments
    except MeasureError as error:
        fault = error if isinstance(error, Unexpected) else None
        fragments = ()
    else:
        fault = None
    assert fault is None
    for fragment in fragments:
        entity = orjson.loads(fragment.body)
        assert entity["id"] == fragment.entity_id
        assert fragment.entity_id.startswith("urn:ngsi-ld:")
        times = [entity[name].get("observedAt") for name in entity if name not in ("id", "type")]
        assert all(time is None or is_datetime(time) for time in times)


@pytest.mark.parametrize("topic", FORMS)
@given(payload=st.binary(max_size=60) | ULTRALIGHT)
def test_any_bytes_on_every_topic_of_the_contract(topic: str, payload: bytes) -> None:
    refusal: MeasureError | None = None
    converted = Converted(())
    try:
        converted = CONVERTER.convert(topic, payload, RECEIVED_AT)
    except MeasureError as error:
        refusal = error
    assert not isinstance(refusal, Unexpected | UnknownDevice)
    assert refusal or converted.fragments or converted.reports


def reported(fragments: Sequence[Fragment]) -> list[str]:
    """What the fragments say about the device itself."""
    entities = [json.loads(fragment.body) for fragment in fragments]
    return [entity["dateLastValueReported"]["value"] for entity in entities if "dateLastValueReported" in entity]


def said(converter: Converter, clock: str) -> Sequence[Fragment]:
    measure = {"t": 20, "TimeInstant": f"2026-04-02T{clock}Z"}
    return converter.convert(HALL, json.dumps(measure).encode(), RECEIVED_AT).fragments


def test_late_message_does_not_make_a_device_look_silent() -> None:
    converter = new_converter()
    assert reported(said(converter, "08:00:00")) == ["2026-04-02T08:00:00.000Z"]
    late = said(converter, "07:00:00")
    assert [fragment.entity_id for fragment in late] == ["urn:ngsi-ld:Zone:hall"]
    assert reported(said(converter, "08:00:00")) == ["2026-04-02T08:00:00.000Z"]


def test_clocks_are_counted() -> None:
    converter = new_converter()
    for clock in ("08:00:00", "07:00:00", "09:00:00"):
        said(converter, clock)
    converter.convert(HALL, b'{"t":20}', RECEIVED_AT)
    assert converter.clocks == {"device": 1, "late": 1, "future": 1, "none": 1}


def test_wrong_clock_does_not_change_the_id_of_an_event() -> None:
    topic = "campus/cam-gate-1/onvif-ej/RuleEngine/Radiometry/BodyTemperatureAlarm/&VSC-1"
    body = b'{"UtcTime":"2026-04-02T10:00:00Z","Data":{"ObjectId":"1","Temperature":"310"}}'
    first, _ = new_converter().convert(topic, body, RECEIVED_AT).fragments
    again, _ = new_converter().convert(topic, body, RECEIVED_AT + timedelta(minutes=1)).fragments
    assert first.entity_id == again.entity_id == "urn:ngsi-ld:TemperatureScreening:cam-gate-1-20260402T100000000Z-1"


def test_fault_of_the_agent_quotes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ValueError("uid de:ad:be:ef")

    monkeypatch.setattr("agents.conversion.observed", fail)
    with pytest.raises(Unexpected) as caught:
        new_converter().convert(HALL, b'{"t":20}', RECEIVED_AT)
    assert "de:ad" not in str(caught.value)
    assert "ValueError in fail" in str(caught.value)
