"""Trying profiles out, on the command line and over HTTP."""

import asyncio
import base64
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from prometheus_client import CollectorRegistry
from typer.testing import CliRunner

from agents.api.app import make_app
from agents.api.trial import trial_router
from agents.cli import agent
from agents.device_file import load_device_files
from agents.ops import listen, make_server
from agents.registry import Registry
from agents.trial import Question, attempt
from tests.agents.corpus import CASES, DEVICE_FILES, PROFILES, PSEUDONYMS, RECEIVED_AT, ROUTER, Case, profile_at
from tests.agents.payloads import messages

KELVIN = '{"UtcTime":"2026-04-02T08:00:00Z","Data":{"ObjectId":"15","Temperature":"310.6"}}'
DEVICES = load_device_files(DEVICE_FILES, PROFILES)


def tried(*arguments: str, stdin: bytes | None = None) -> tuple[int, str]:
    """Exit code and what is printed, without line breaks and colours."""
    result = CliRunner().invoke(agent, list(arguments), input=stdin, env={"COLUMNS": "200", "MEDINA_PSEUDONYM_KEY": ""})
    return result.exit_code, " ".join(result.output.split())


@pytest.mark.parametrize("case", [case for case in CASES if case.entities], ids=str)
def test_what_is_shown_is_what_would_be_stored(case: Case) -> None:
    """By one of the profiles that read the topic: the one that knows the device."""
    route = ROUTER.at_path(case.topic) or ROUTER.route(case.topic)
    questions = [Question(each, case.payload, RECEIVED_AT, case.topic, devices=DEVICES) for each in route.profiles]
    trials = [attempt(question, PSEUDONYMS) for question in questions]
    assert case.entities in [trial.entities for trial in trials if trial.problem is None]


@pytest.mark.parametrize("case", [case for case in CASES if case.refusal], ids=str)
def test_what_fails_is_told_with_a_way_out(case: Case) -> None:
    question = Question(profile_at(case.topic), case.payload, RECEIVED_AT, case.topic, devices=DEVICES)
    trial = attempt(question, PSEUDONYMS)
    assert trial.entities == []
    assert trial.problem is not None
    assert trial.problem.way_out


@given(messages())
def test_any_message_can_be_tried(message: tuple[str, bytes]) -> None:
    topic, payload = message
    for profile in ("zigbee2mqtt", "hikvision", "iotagent-json"):
        question = Question(PROFILES[profile], payload, RECEIVED_AT, topic)
        assert (attempt(question, PSEUDONYMS).problem is None) in (True, False)


def test_command_shows_fields_entity_and_what_is_left_out() -> None:
    code, printed = tried("try", "zigbee2mqtt", '{"temperature": 21.5, "humidity": 655, "x": 1}', "--type", "Room")
    assert code == 0
    assert "temperature │ 21.5 │ CEL │ temperature" in printed
    assert "x │ 1 │ │ not stored: no attribute is made of it" in printed
    assert '"id": "urn:ngsi-ld:Room:device-1"' in printed
    assert "note implausible: field humidity is outside of what relativeHumidity can be" in printed
    assert "note the device device-1 is made up" in printed


def test_command_hides_what_the_profile_calls_sensitive() -> None:
    code, printed = tried("try", "onvif-body-temperature", KELVIN, "--set", "recheck_above=37", "--at", "2026-04-02")
    assert code == 0
    assert "Temperature │ (hidden) │ │ TemperatureScreening.result (class)" in printed
    assert "310.6" not in printed
    assert '"value": "recheck"' in printed


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("onvif-body-temperature", KELVIN), 1, "the profile needs recheck_above of the device way out Give it: --set"),
        (("tasmota", '{"Time":"2026'), 1, "failed at the payload: not-json: 13 bytes are not JSON"),
        (("tasmota", "{}", "--topic", "tele/a/FOO"), 1, "failed at the topic: unknown-topic: tele/a/FOO is no topic"),
        (("tasmota", '{"DHT":{"Humidity":"wet"}}'), 1, "field Humidity is text that is no number way out"),
        (("tasmota", "Offline", "--topic", "tele/a/LWT"), 0, '"value": "offline"'),
        (("nonesuch", "{}"), 2, "There is no profile 'nonesuch'; there are cayenne-lpp"),
        (("tasmota", "@nonesuch.json"), 2, "nonesuch.json: No such file"),
        (("tasmota", "{}", "--at", "noon"), 2, "'noon' is no ISO 8601 time"),
        (("tasmota", "{}", "--set", "zone"), 2, "--set zone: write it as NAME=VALUE"),
    ],
)
def test_command_says_where_and_why(arguments: tuple[str, ...], code: int, said: str) -> None:
    assert tried("try", *arguments)[0] == code
    assert said in tried("try", *arguments)[1]


def test_command_takes_devices_payload_and_profile_from_files(tmp_path: Path) -> None:
    payload = tmp_path / "payload.json"
    payload.write_text('{"t": 40, "clock": "2026-04-02T08:00:00Z"}', encoding="utf-8")
    profile = tmp_path / "boiler.toml"
    profile.write_text(
        'protocol = "iotagent_json"\ntopics = ["boilers/{device}"]\ndevice = "{device}"\n'
        '[attributes]\nt = { name = "temperature", unit = "CEL", expression = "t|nonesuch" }\n',
        encoding="utf-8",
    )
    assert tried("try", str(profile), f"@{payload}")[0] == 2
    profile.write_text(profile.read_text().replace("t|nonesuch", "t + missing"), encoding="utf-8")
    devices = tmp_path / "devices.toml"
    devices.write_text(
        'context = "https://medina.example/c.jsonld"\n'
        '[[device]]\nid = "b1"\nprofile = "boiler"\nentity_type = "Boiler"\n',
        encoding="utf-8",
    )
    known = ("--devices", str(devices), "--topic", "boilers/b1")
    code, printed = tried("try", str(profile), f"@{payload}", *known)
    assert code == 0
    assert "attribute temperature is not there, because of its expression: the measure has no missing" in printed
    profile.write_text(re.sub(', expression = "[^"]*"', "", profile.read_text()), encoding="utf-8")
    code, printed = tried("try", str(profile), "-", *known, stdin=payload.read_bytes())
    assert code == 0
    assert '"id": "urn:ngsi-ld:Boiler:b1"' in printed
    code, printed = tried("try", str(profile), f"@{payload}", "--devices", str(devices), "--topic", "boilers/b2")
    assert code == 1
    assert "failed at the device: unknown-device: device b2 is unknown" in printed
    assert '[[device]] id = "b2", profile = "boiler"' in printed


def test_group_of_a_device_file_decides_who_is_known(tmp_path: Path) -> None:
    devices = tmp_path / "devices.toml"
    devices.write_text(
        'context = "https://medina.example/c.jsonld"\n'
        '[[group]]\nprofile = "tasmota"\nautoprovision = true\nallow = ["t*"]\nentity_type = "Room"\n',
        encoding="utf-8",
    )
    payload = '{"DHT": {"Humidity": 40}}'
    code, printed = tried("try", "tasmota", payload, "--devices", str(devices), "--topic", "tele/t1/SENSOR")
    assert code == 0
    assert '"id": "urn:ngsi-ld:Room:t1"' in printed
    code, printed = tried("try", "tasmota", payload, "--devices", str(devices), "--topic", "tele/x1/SENSOR")
    assert code == 1
    assert "device x1 is unknown, and the group of its profile does not accept such ids" in printed


def test_profiles_are_listed() -> None:
    code, printed = tried("profiles")
    assert code == 0
    assert "hikvision hikvision HTTP /hikvision/{device}" in printed
    assert [name for name in PROFILES if name not in printed] == []


Ask = Callable[..., Awaitable[tuple[int, Any]]]


@pytest.fixture
async def ask() -> AsyncIterator[Ask]:
    """Ask the API of an agent with the devices of the corpus."""

    async def checks() -> dict[str, str | None]:
        return {}

    registry = Registry(PROFILES, [DEVICES], PSEUDONYMS)
    app = make_app(checks, CollectorRegistry(), None, 4041, trial_router(PROFILES, registry, {}))
    server, listener = make_server(app), listen("127.0.0.1", 0, "MEDINA_AGENT_PORT")
    serving = asyncio.create_task(server.serve([listener]))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with aiohttp.ClientSession(url) as session:

        async def request(path: str, **body: object) -> tuple[int, Any]:
            method = "POST" if body else "GET"
            async with session.request(method, path, json=body or None) as response:
                return response.status, await response.json()

        yield request
    server.should_exit = True
    await serving


async def test_trial_over_http(ask: Ask) -> None:
    fahrenheit = {"DHT": {"Temperature": 68.0}, "TempUnit": "F"}
    status, trial = await ask("/try", profile="tasmota", payload=fahrenheit, device="d", at="2026-04-02T08:00:00Z")
    assert status == 200
    assert trial["problem"] is None
    assert trial["device"] == "d"
    fields = trial["measures"][0]["fields"]
    assert fields == [{"name": "Temperature", "value": 68.0, "unit": "FAH", "becomes": "temperature"}]
    at = "2026-04-02T08:00:00.000Z"
    temperature = {"type": "Property", "value": 20.0, "unitCode": "CEL", "observedAt": at}
    assert trial["entities"][0] == {"id": "urn:ngsi-ld:Thing:d", "type": "Thing", "temperature": temperature}


async def test_profile_that_is_not_deployed_can_be_tried_over_http(ask: Ask) -> None:
    text = 'protocol = "iotagent_json"\ntopics = ["boilers/{device}"]\ndevice = "{device}"\ntime = "ts"\n'
    body = {"profile_toml": text, "payload": {"ts": 1775116800, "t": 60}, "address": "boilers/b1"}
    status, trial = await ask("/try", **body, entity_type="Boiler")
    assert (status, trial["device"], trial["problem"]) == (200, "b1", None)
    value = {"type": "Property", "value": 60, "observedAt": "2026-04-02T08:00:00.000Z"}
    assert trial["entities"][0] == {"id": "urn:ngsi-ld:Boiler:b1", "type": "Boiler", "t": value}


async def test_trial_over_http_with_the_devices_the_agent_knows(ask: Ask) -> None:
    hall, attic = ({"profile": "iotagent-json", "address": f"/json/campus/{id_}/attrs"} for id_ in ("zs-hall", "zs-x"))
    payload = base64.b64encode(b'{"t": 22.5}').decode()
    _, trial = await ask("/try", **hall, payload_base64=payload, known=True)
    assert trial["entities"][0]["id"] == "urn:ngsi-ld:Zone:hall"
    _, trial = await ask("/try", **attic, payload_text="{}", known=True)
    assert trial["problem"]["stage"] == "payload"
    _, trial = await ask("/try", **attic, payload={"t": 1}, known=True)
    assert trial["problem"]["reason"] == "unknown-device"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"profile": "tasmota"}, "give one of payload, payload_text, payload_base64"),
        ({"profile": "tasmota", "payload": 1, "payload_text": "1"}, "give one of payload"),
        ({"profile": "nonesuch", "payload": 1}, "there is no profile nonesuch"),
        ({"payload": 1}, "give profile or profile_toml"),
        (
            {"payload": 1, "profile_toml": "topics ="},
            "profile: cannot be read as TOML: Invalid value (at end of document",
        ),
        ({"payload": 1, "profile_toml": 'device = "d"', "profile": "boiler"}, "boiler: protocol: is missing"),
        ({"profile": "tasmota", "payload": 1, "topik": "a"}, "topik: Extra inputs are not permitted"),
        ({"profile": "tasmota", "payload_base64": "?"}, "payload_base64 is not Base64"),
        ({"profile": "tasmota", "payload": 1, "at": "noon"}, "at: 'noon' is no ISO 8601 time"),
    ],
)
async def test_what_is_no_question_is_refused(ask: Ask, body: dict[str, object], said: str) -> None:
    status, answer = await ask("/try", **body)
    assert (status, answer["name"]) == (400, "WRONG_SYNTAX")
    assert said in answer["message"]


async def test_trial_is_in_the_documentation_of_the_api(ask: Ask) -> None:
    _, document = await ask("/openapi.json")
    content = document["paths"]["/try"]["post"]["requestBody"]["content"]["application/json"]
    assert "profile" in content["schema"]["properties"]
    for example in content["examples"].values():
        assert (await ask("/try", **example["value"]))[0] == 200
    _, profiles = await ask("/profiles")
    assert {profile["name"] for profile in profiles} == PROFILES.keys()
