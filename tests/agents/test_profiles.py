"""What profiles can say beyond names: ranges, units, keys, numbers, signatures, last wills."""

import contextlib
import hmac
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.conversion import Converted, Converter
from agents.device_file import load_device_files
from agents.errors import ConfigurationError, Gap, Implausible, NotAuthentic, UnknownDevice, WrongShape
from agents.liveness import Liveness
from agents.measure import Measure
from agents.normalisation import Norm, normalised
from agents.profile import BUNDLED, Profile, load_profiles
from agents.protocols import iotagent_json
from agents.reading import measures_of
from agents.registry import Registry
from tests.agents.corpus import DEVICE_FILES, PROFILES, PSEUDONYMS, RECEIVED_AT, ROUTER, convert, new_converter

EVENTS = "uhppoted/gateway/events"
OFFICE = "zigbee2mqtt/office"
KEY = b"a key of the gateway"


def converter_with(committed: frozenset[str] = frozenset(), **secrets: bytes) -> Converter:
    registry = Registry(PROFILES, [load_device_files(DEVICE_FILES, PROFILES)], PSEUDONYMS)
    return Converter(ROUTER, registry, secrets, committed)


def event(number: int, **more: object) -> dict[str, object]:
    return {
        "device-id": 405419896,
        "door-id": 1,
        "event-id": number,
        "timestamp": "2026-04-02 08:00:01 UTC",
        "card-number": 8165538,
        "access-granted": True,
        "direction": 1,
        **more,
    }


def told(converter: Converter, number: int) -> Converted:
    return converter.convert(EVENTS, json.dumps(event(number)).encode(), RECEIVED_AT)


def signed(body: dict[str, object], key: bytes = KEY, **changes: object) -> bytes:
    """A message as the gateway signs it: compact, `message` first."""
    text = json.dumps({"event": body}, separators=(",", ":"))
    mac = hmac.digest(key, text.encode(), "sha256").hex()
    return b'{"message":%b,"hmac":"%b"}' % (
        json.dumps({"event": body | changes}, separators=(",", ":")).encode(),
        mac.encode(),
    )


def test_value_out_of_range_is_left_out_and_told() -> None:
    converted = convert(new_converter(), OFFICE, b'{"temperature": 21, "humidity": 655.35}')
    entity = json.loads(converted.fragments[0].body)
    assert entity["temperature"]["value"] == 21
    assert "relativeHumidity" not in entity
    (remark,) = converted.remarks
    assert isinstance(remark, Implausible)
    assert str(remark) == "field humidity is outside of what relativeHumidity can be: at least 0 and at most 100 P1"
    assert "655" not in str(remark)


@pytest.mark.parametrize(
    ("value", "stated", "norm", "expected"),
    [
        (68.0, "FAH", Norm("t", "CEL", "CEL"), (20.0, "CEL")),
        (293.15, "KEL", Norm("t"), (20.0, "CEL")),
        (68.0, "FAH", None, (20.0, "CEL")),
        ("293.15", "KEL", Norm("t", "KEL", "CEL", 10, 30), (293.15, "KEL")),
        (30.0, "F79", Norm("p", "A97", "A97"), (1015.9167, "A97")),
        (230.0, "VLT", None, (230.0, "VLT")),
    ],
)
def test_stated_unit_becomes_the_one_the_mapping_expects(
    value: object, stated: str, norm: Norm | None, expected: tuple[object, str]
) -> None:
    measure = Measure({"x": value}, units={"x": stated})
    made, left_out = normalised(measure, {} if norm is None else {"x": norm})
    assert (made.values["x"], made.units["x"]) == expected
    assert left_out == []


def test_unit_that_cannot_be_converted_is_refused() -> None:
    with pytest.raises(WrongShape, match="field x is in LTR, which cannot be converted to CEL"):
        normalised(Measure({"x": 1}, units={"x": "LTR"}), {"x": Norm("t", "CEL", "CEL")})


@given(st.floats(-400, 400))
def test_range_is_that_of_the_attribute_whatever_the_unit_of_the_field(celsius: float) -> None:
    norm = Norm("t", "KEL", "CEL", -50, 100)
    made, left_out = normalised(Measure({"x": celsius + 273.15}), {"x": norm})
    inside = -50 <= round(celsius + 273.15 - 273.15, 6) <= 100
    assert ("x" in made.values) == inside
    assert bool(left_out) != inside


def test_copies_of_a_measure_have_one_key_and_committed_ones_are_left_out() -> None:
    first = told(new_converter(), 51)
    assert first.keys == ["uhppoted/405419896-1/405419896-51"]
    converter = converter_with(frozenset(first.keys))
    assert told(converter, 51).fragments == []
    assert converter.duplicates == {"uhppoted": 1}
    assert told(converter, 52).fragments


def test_missing_events_are_told_once() -> None:
    converter = new_converter()
    assert [len(told(converter, number).remarks) for number in (50, 51, 54, 54, 52, 55)] == [0, 0, 1, 0, 0, 0]
    (gap,) = told(converter, 58).remarks
    assert isinstance(gap, Gap)
    assert str(gap) == "2 before this one by event-id have not come"


def test_controller_that_starts_anew_counts_from_there() -> None:
    converter = new_converter()
    remarks = [told(converter, number).remarks for number in (1000, 1, 2, 4)]
    assert [len(each) for each in remarks] == [0, 0, 0, 1]


def test_signed_event_is_taken() -> None:
    converter = converter_with(uhppoted=KEY)
    assert converter.convert(EVENTS, signed(event(51)), RECEIVED_AT).fragments


@pytest.mark.parametrize(
    "payload",
    [
        json.dumps(event(51)).encode(),
        json.dumps({"message": {"event": event(51)}}).encode(),
        signed(event(51), b"another key"),
        signed(event(51)).replace(b"true", b"false"),
        signed(event(51)).replace(b'"hmac":"', b'"hmac":"","mac":"'),
        signed(event(51))[:-1] + b',"message":{"event":{}}}',
        b'{"message":' + b"[" * 900 + b"]" * 900 + b',"hmac":"00"}',
    ],
    ids=["bare", "no-hmac", "other-key", "changed", "empty-hmac", "second-message", "nested"],
)
def test_event_that_the_gateway_has_not_signed_is_refused(payload: bytes) -> None:
    with pytest.raises(NotAuthentic):
        converter_with(uhppoted=KEY).convert(EVENTS, payload, RECEIVED_AT)


def test_without_a_key_nothing_need_be_signed() -> None:
    assert new_converter().convert(EVENTS, signed(event(51), b"another key"), RECEIVED_AT).fragments


@pytest.mark.parametrize(
    ("payload", "online"),
    [(b"online", True), (b'"offline"', False), (b'{"state":"online"}', True), (b"true", True), (b" offline\n", False)],
)
def test_last_will_is_a_word_or_a_member(payload: bytes, online: bool) -> None:
    liveness = Liveness(online=("online", "true"), member="state")
    assert liveness.read(payload).values == {"online": online}


@pytest.mark.parametrize("payload", [b"maybe", b'{"state":"asleep"}', b"{}", b"null", b"[1]", b"\xff", b"x" * 1000])
def test_other_words_are_refused(payload: bytes) -> None:
    with pytest.raises(WrongShape):
        Liveness(member="state").read(payload)


@given(st.binary(max_size=80))
def test_any_last_will_is_read_or_refused(payload: bytes) -> None:
    with contextlib.suppress(WrongShape):
        assert Liveness(member="state").read(payload).values.keys() == {"online"} or not payload


def test_a_badge_is_somebody_else_in_another_tenant() -> None:
    badge = b'{"type":"access","time":1775116801,"uid":"40:a0:83:80","username":"Z","isknown":"true","access":"Always"}'
    made = set()
    for tenant in ("", "campus"):
        registry = Registry(PROFILES, [load_device_files(DEVICE_FILES, PROFILES, tenant)], PSEUDONYMS)
        fragments = Converter(ROUTER, registry).convert("esp-rfid/visitor-in/send", badge, RECEIVED_AT).fragments
        holders = [entity["holder"]["value"] for each in fragments if "holder" in (entity := json.loads(each.body))]
        expected = PSEUDONYMS.within(tenant).of("40a08380", "access", datetime(2026, 4, 2, 8, tzinfo=UTC))
        assert holders == [expected]
        made.update(holders)
    assert len(made) == 2


def test_a_retained_last_will_that_is_cleared_says_nothing() -> None:
    converter = new_converter()
    assert converter.convert("tele/tasmota_4F2A11/LWT", b"", RECEIVED_AT) == Converted([], [], [], [])
    assert converter.ignored == {"tasmota": 1}


SOUND: dict[str, Any] = {"name": "v", "protocol": "tasmota", "topics": ["v/{device}"], "device": "{device}"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"topics": []}, "has topics, or routes, or both"),
        ({"routes": ["v/{device}"]}, "does not start with /"),
        ({"codec": "vs121"}, "codec: tasmota has none of that name"),
        ({"signed": "key"}, "messages of tasmota are not signed"),
        ({"liveness": {"topics": ["v/online"]}}, "does not tell the {device}"),
        ({"attributes": {"t": {"name": "t", "min": 2, "max": 1}}}, "min is more than max"),
        ({"attributes": {"t": {"name": "t", "expression": "t * 2", "min": 2}}}, "min and max are of a field"),
        ({"attributes": {"t": {"name": "t", "unit": "Celsius"}}}, "'Celsius' is no UN/CEFACT code"),
        ({"attributes": {"t": {"name": "t", "from_unit": "LBR", "unit": "CEL"}}}, "to CEL there is one from FAH, KEL"),
        ({"ids": ["v*"], "topics": ["v/state"]}, "ids: each topic has to tell the {device}"),
        ({"fields": {"plain": ["a"]}, "dedup": "{b}"}, "dedup: nothing is called b; there is a, device"),
        ({"fields": {"plain": ["a"]}, "sequence": {"of": "{b}", "field": "a"}}, "sequence.of: nothing is called b"),
    ],
)
def test_profile_that_cannot_work_is_refused(change: dict[str, Any], said: str) -> None:
    assert Profile.model_validate(SOUND)
    with pytest.raises(ValueError, match=said):
        Profile.model_validate(SOUND | change)


def test_group_of_a_vendor_needs_no_apikey_and_may_name_its_own(tmp_path: Path) -> None:
    path = tmp_path / "devices.toml"
    head = 'context = "https://medina.example/c.jsonld"\n[[group]]\nautoprovision = true\nentity_type = "Room"\n'
    path.write_text(head + 'profile = "tasmota"\nallow = ["tasmota_*"]\n', encoding="utf-8")
    files = load_device_files([path], load_profiles(BUNDLED))
    registry = Registry(PROFILES, [files], PSEUDONYMS)
    assert registry.find("tasmota", "", "tasmota_1").entity_id == "urn:ngsi-ld:Room:tasmota_1"
    assert registry.find("tasmota", "", "tasmota_1").norms["Humidity"].high == 100
    path.write_text(head, encoding="utf-8")
    with pytest.raises(ConfigurationError, match="a group has an apikey"):
        load_device_files([path], PROFILES)


def test_other_senders_on_topics_of_the_same_form_are_counted_not_looked_at() -> None:
    converter = new_converter()
    for topic, payload in (
        ("gate-controller/status/door", b"open"),
        ("gate-controller/online", b"maybe"),
        ("gate-controller/events/rpc", b"{"),
    ):
        assert converter.convert(topic, payload, RECEIVED_AT) == Converted([], [], [], [], is_foreign=True)
    assert converter.ignored == {"shelly": 3}


def test_unknown_device_of_the_vendor_is_still_told() -> None:
    with pytest.raises(UnknownDevice):
        new_converter().convert("shellyplus1-a8032ab12345/status/switch:0", b'{"output": true}', RECEIVED_AT)


def test_device_of_the_vendor_with_a_name_of_its_own_is_heard(tmp_path: Path) -> None:
    file = tmp_path / "devices.toml"
    device = '[[device]]\nid = "kitchen"\nprofile = "shelly"\nentity_type = "Room"\n'
    file.write_text(f'context = "https://medina.example/c.jsonld"\n{device}', encoding="utf-8")
    converter = Converter(ROUTER, Registry(PROFILES, [load_device_files([file], PROFILES)], PSEUDONYMS))
    (fragment,) = converter.convert("kitchen/status/switch:0", b'{"output": true}', RECEIVED_AT).fragments
    assert json.loads(fragment.body)["state"]["value"] is True


def test_what_is_sent_to_a_device_is_no_sign_of_its_life() -> None:
    converter = new_converter()
    converted = converter.convert("shellies/shellyplug-s-7A1B2C/relay/0/command", b"on", RECEIVED_AT)
    assert (list(converted.fragments), converter.ignored) == ([], {"shelly": 1})


@pytest.mark.parametrize(
    ("stated", "at"),
    [
        (1775116800, "2026-04-02T08:00:00+00:00"),
        ("1775116800.5", "2026-04-02T08:00:00.500000+00:00"),
        (1775116800123, "2026-04-02T08:00:00.123000+00:00"),
        ("2026-04-02T09:00:00+01:00", "2026-04-02T09:00:00+01:00"),
        (None, "None"),
    ],
)
def test_profile_says_which_field_is_the_time_and_opens_objects(stated: object, at: str) -> None:
    profile = Profile.model_validate(SOUND | {"protocol": "iotagent_json", "flat": True, "time": "meta.ts"})
    payload = json.dumps({"meta": {"ts": stated, "fw": 7}, "data": {"t": {"in": 20.5}}}).encode()
    (measure,) = measures_of(profile, iotagent_json.decode, frozenset(), {"device": "d"}, payload, RECEIVED_AT)
    assert measure.values == {"meta.fw": 7, "data.t.in": 20.5}
    assert str(measure.observed_at and measure.observed_at.isoformat()) == at
    (kept,) = measures_of(profile, iotagent_json.decode, frozenset({"meta.ts"}), {"device": "d"}, payload, RECEIVED_AT)
    assert kept.values == ({} if stated is None else {"meta.ts": stated})


def test_time_that_is_none_is_refused() -> None:
    profile = Profile.model_validate(SOUND | {"protocol": "iotagent_json", "time": "ts"})
    with pytest.raises(WrongShape, match="field ts is text that is no number"):
        list(measures_of(profile, iotagent_json.decode, frozenset(), {"device": "d"}, b'{"ts": "noon"}', RECEIVED_AT))


def test_mistakes_in_a_profile_file_are_told_with_a_way_out(tmp_path: Path) -> None:
    path = tmp_path / "v.toml"
    attribute = '[attributes]\nt = { nam = "t", min = "x" }\n'
    path.write_text(f'protocol = "tasmota"\ntopics = "v"\ndevise = "{{device}}"\n{attribute}', encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load_profiles(tmp_path)
    assert str(caught.value).splitlines() == [
        f"{path}: topics: a list in brackets is expected, [...]",
        f"{path}: device: is missing",
        f"{path}: attributes.t.name: is missing",
        f"{path}: attributes.t.min: a number is expected",
        f"{path}: attributes.t.nam: there is no such key; did you mean name?",
        f"{path}: devise: there is no such key; did you mean device?",
    ]


def test_quantities_in_quotes_become_numbers() -> None:
    norms = {"t": Norm("temperature", "CEL", "CEL", -50, 100), "n": Norm("name", None, "C62")}
    measure, left_out = normalised(Measure({"t": "-21.50", "n": "12", "x": "7"}), norms)
    assert (measure.values, left_out) == ({"t": -21.5, "n": 12, "x": "7"}, [])
    measure, _ = normalised(Measure({"n": "12 or so"}), norms)
    assert measure.values == {"n": "12 or so"}
