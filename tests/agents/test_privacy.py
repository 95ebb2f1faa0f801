"""R2 and R12: nothing of a name, a card number, an image or a body temperature leaves the agent, whatever arrives."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest
from structlog.testing import capture_logs

from agents.errors import ConfigurationError, MeasureError
from agents.metrics import Metrics
from agents.profile import Profile
from agents.rejections import Rejections
from tests.agents.corpus import CASES, PSEUDONYMS, RECEIVED_AT, Case, convert, new_converter, profile_at

NAME, CARD, UID, IMAGE, KELVIN = "Zineb El Fassi", 99887766554, "de:ad:be:ef:77", "/9j/4AAQSkZJRgSECRET", "311.987654"
SECRETS = (
    "Zineb",
    "99887766554",
    "de:ad:be:ef",
    "deadbeef77",
    "SECRET",
    "311.98",
    "38.83",
    "Salma",
    "8165538",
    "40:a0:83:80",
    "60877610dead",
    "60:87:76:10",
    "1de4b189",
    "192.168.20",
)

IDENTITY_CASES = [case for case in CASES if profile_at(case.topic).bears_identity]
PLANTED = {
    "username": NAME,
    "card-number": CARD,
    "uid": UID,
    "Temperature": KELVIN,
    "Image": IMAGE,
    "cardNo": str(CARD),
    "employeeNoString": str(CARD),
    "name": NAME,
    "currTemperature": KELVIN,
    "ImageUri": f"http://cam/{IMAGE}.jpg",
}
BROKEN: list[Any] = [None, True, -1, 1.5, "?", NAME, {"of": NAME}, [NAME], {NAME: CARD}]


def everything_that_leaves(topic: str, payload: bytes) -> str:
    """Entities, log lines, what is kept of rejections, and metrics, after one message."""
    metrics = Metrics()
    rejections = Rejections(10, PSEUDONYMS, metrics)
    converter = new_converter()
    out: list[str] = []
    with capture_logs() as logs:
        try:
            fragments = convert(converter, topic, payload).fragments
            out += [fragment.body.decode() for fragment in fragments]
        except MeasureError as error:
            profile = profile_at(topic)
            rejections.add(error, topic, payload, profile, RECEIVED_AT)
    out += [repr(logs), repr(rejections.latest()), generate_latest(metrics.registry).decode()]
    return "\n".join(out)


def revealed(topic: str, payload: bytes) -> list[str]:
    text = everything_that_leaves(topic, payload)
    return [secret for secret in SECRETS if secret.lower() in text.lower()]


@pytest.mark.parametrize("case", IDENTITY_CASES, ids=str)
def test_corpus_reveals_nobody(case: Case) -> None:
    assert revealed(case.topic, case.payload) == []


def objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from objects(item)


@st.composite
def planted(draw: st.DrawFn) -> tuple[str, bytes]:
    """A message of the corpus with secrets in their fields and in new ones, some plain fields broken, perhaps cut."""
    case = draw(st.sampled_from([case for case in IDENTITY_CASES if _is_json(case)]))
    body = json.loads(case.payload)
    for inner in list(objects(body)):
        for name in [name for name in inner if name in PLANTED]:
            inner[name] = draw(st.sampled_from([PLANTED[name], [PLANTED[name]], {NAME: PLANTED[name]}]))
        for item in inner.get("SimpleItem", []) if isinstance(inner.get("SimpleItem"), list) else []:
            if isinstance(item, dict) and item.get("Name") in PLANTED:
                item["Value"] = PLANTED[item["Name"]]
        if draw(st.booleans()):
            inner[draw(st.sampled_from([NAME, "comment", "Person"]))] = draw(st.sampled_from(list(PLANTED.values())))
        breakable = sorted(name for name in inner if name not in PLANTED)
        if draw(st.booleans()) and breakable:
            inner[draw(st.sampled_from(breakable))] = draw(st.sampled_from(BROKEN))
    payload = json.dumps(body, ensure_ascii=draw(st.booleans())).encode()
    return case.topic, payload[: draw(st.integers(0, len(payload)))] if draw(st.booleans()) else payload


def _is_json(case: Case) -> bool:
    try:
        json.loads(case.payload)
    except ValueError:
        return False
    return True


@given(planted())
def test_no_message_reveals_anybody(message: tuple[str, bytes]) -> None:
    assert revealed(*message) == []


def test_rejection_of_a_broken_message_is_still_of_use() -> None:
    topic, payload = "esp-rfid/visitor-in/send", b'{"type":"access","time":"noon","uid":"de:ad","username":"Zineb"}'
    text = everything_that_leaves(topic, payload)
    assert '{"type":"text of 6","time":"text of 4","uid":"text of 5","…":"text of 5"}' in text
    assert "field time is text, not a whole number" in text


def test_unreadable_message_leaves_its_length_and_a_keyed_fingerprint() -> None:
    payload = b'{"uid":"de:ad:be:ef'
    text = everything_that_leaves("esp-rfid/visitor-in/send", payload)
    assert f"{len(payload)} bytes, fingerprint {PSEUDONYMS.fingerprint(payload)}" in text


SOUND: dict[str, Any] = {
    "name": "reader",
    "protocol": "esp_rfid",
    "topics": ["readers/{device}"],
    "device": "{device}",
    "fields": {"plain": ["time"], "sensitive": ["uid"]},
    "entity": [
        {
            "type": "AccessEvent",
            "id": "urn:ngsi-ld:AccessEvent:{device}-{time}-{holder:8}",
            "attributes": {"holder": {"field": "uid", "pseudonym": "access"}},
        }
    ],
}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"entity": [{**SOUND["entity"][0], "attributes": {"holder": {"field": "uid"}}}]}, "would store the sensitive"),
        ({"entity": [{**SOUND["entity"][0], "id": "urn:ngsi-ld:AccessEvent:{uid}"}]}, "would reveal the sensitive"),
        ({"entity": []}, "need entity rules"),
        (
            {"entity": [{**SOUND["entity"][0], "attributes": {"name": {"field": "username"}}, "id": "urn:x:{time}"}]},
            "not in the allow-list",
        ),
        (
            {"entity": [{**SOUND["entity"][0], "attributes": {"holder": {"field": "uid", "values": {"a": "b"}}}}]},
            "would store the sensitive",
        ),
    ],
)
def test_profile_that_would_let_something_out_is_refused(change: dict[str, Any], said: str) -> None:
    assert Profile.model_validate(SOUND).bears_identity
    with pytest.raises(ValueError, match=said):
        Profile.model_validate(SOUND | change)


def test_key_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    from agents.settings import read_settings

    monkeypatch.setenv("MEDINA_PSEUDONYM_KEY", "a very secret key")
    assert "secret" not in repr(read_settings())
    monkeypatch.setenv("MEDINA_PSEUDONYM_KEY", "secret")
    with pytest.raises(ConfigurationError) as caught:
        read_settings().key()
    assert "secret" not in str(caught.value).replace("a secret", "")
