from collections import Counter

import pytest

from agents.errors import MeasureError
from agents.protocols import PROTOCOLS
from tests.agents.corpus import CASES, Case, convert, converted, new_converter


@pytest.mark.parametrize("case", [case for case in CASES if case.entities is not None], ids=str)
def test_valid_payload_makes_the_entities_beside_it(case: Case) -> None:
    assert converted(case) == case.entities


@pytest.mark.parametrize("case", [case for case in CASES if case.refusal is not None], ids=str)
def test_invalid_payload_is_refused_with_the_reason_beside_it(case: Case) -> None:
    with pytest.raises(MeasureError) as caught:
        converted(case)
    assert (caught.value.reason, str(caught.value)) == case.refusal


@pytest.mark.parametrize("case", [case for case in CASES if case.entities is not None], ids=str)
def test_the_same_message_twice_makes_the_same_fragments(case: Case) -> None:
    converter = new_converter()
    first = convert(converter, case.topic, case.payload).fragments
    second = convert(converter, case.topic, case.payload).fragments
    missing = [fragment for fragment in first if fragment not in second]
    # Of an array's measures all but the newest are old news about the device itself when they come again.
    assert all(b"dateLastValueReported" in fragment.body for fragment in missing)
    assert [fragment for fragment in second if fragment not in first] == []


@pytest.mark.parametrize("case", [case for case in CASES if case.entities], ids=str)
def test_everything_measured_says_when(case: Case) -> None:
    for entity in case.entities or []:
        is_about = not {"dateLastValueReported", "deviceState"}.isdisjoint(entity)
        unchanging = {"id", "type", "alertSource"} | ({"zone", "expectedInterval"} if is_about else set())
        assert [name for name in entity if name not in unchanging and "observedAt" not in entity[name]] == []


def test_each_protocol_has_five_valid_and_five_invalid_payloads() -> None:
    counts = Counter((case.protocol, case.refusal is None) for case in CASES)
    assert {(protocol, valid) for protocol in PROTOCOLS for valid in (True, False)} == {
        key for key, count in counts.items() if count >= 5
    }


def test_garbage_between_two_good_messages_changes_neither() -> None:
    good = next(case for case in CASES if case.name == "iotagent_json/valid/object-with-time")
    for bad in (case for case in CASES if case.refusal is not None):
        converter = new_converter()
        before = convert(converter, good.topic, good.payload)
        with pytest.raises(MeasureError):
            convert(converter, bad.topic, bad.payload)
        assert convert(converter, good.topic, good.payload) == before
