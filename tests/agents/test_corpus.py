import pytest

from agents.errors import MeasureError
from agents.protocols import PROTOCOLS
from tests.agents.corpus import CASES, PROFILES, Case, convert, converted, new_converter, profiles_of


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


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_each_profile_has_five_valid_payloads_and_five_that_are_refused_for_reasons_of_their_own(profile: str) -> None:
    own = [case for case in CASES if profile in profiles_of(case)]
    valid = [case for case in own if case.refusal is None]
    reasons = {case.refusal for case in own if case.refusal is not None}
    assert len(valid) >= 5
    assert len(reasons) >= 5


def test_each_protocol_has_a_profile() -> None:
    assert {profile.protocol for profile in PROFILES.values()} == PROTOCOLS.keys()


def test_garbage_between_two_good_messages_changes_neither() -> None:
    good = next(case for case in CASES if case.name == "iotagent_json/valid/object-with-time")
    for bad in (case for case in CASES if case.refusal is not None):
        converter = new_converter()
        before = convert(converter, good.topic, good.payload)
        with pytest.raises(MeasureError):
            convert(converter, bad.topic, bad.payload)
        assert convert(converter, good.topic, good.payload) == before
