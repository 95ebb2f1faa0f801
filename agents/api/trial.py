"""`POST /try` and `GET /profiles`: what a message would become, for those who write profiles.

Nothing is stored, and no device joins a group. Values of sensitive fields are not shown.
"""

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agents.api.requests import answer, object_of
from agents.errors import ConfigurationError
from agents.profile import Profile, profile_of
from agents.provisioning.errors import WrongSyntax
from agents.registry import Registry
from agents.specification import Scalar
from agents.trial import Question, attempt
from agents.trial_question import moment


class TrialBody(BaseModel):
    """What is to be tried: a profile, by name or as text, and exactly one of the three payloads."""

    model_config = ConfigDict(extra="forbid")

    profile: str = Field(default="", description="Name of a profile, see `GET /profiles`.")
    profile_toml: str | None = Field(default=None, description="Instead: the text of a profile file of your own.")
    payload: Any = Field(default=None, description="A payload that is JSON.")
    payload_text: str | None = Field(default=None, description="A payload that is other text.")
    payload_base64: str | None = Field(default=None, description="Any payload, in Base64.")
    address: str = Field(default="", description="Topic or route it comes by; empty: the first of the profile.")
    device: str = Field(default="", description="Id of the device, where the address does not tell it.")
    entity_type: str = Field(default="", description="Type of the entity of a device that is made up.")
    settings: dict[str, Scalar] = Field(default_factory=dict, description="Settings of the device that is made up.")
    known: bool = Field(default=False, description="Take the devices this agent knows, none that is made up.")
    at: str = Field(default="", description="Time of reception, ISO 8601; empty: now.")


_EXAMPLES = {
    "zigbee2mqtt": {
        "summary": "A sensor behind Zigbee2MQTT",
        "value": {
            "profile": "zigbee2mqtt",
            "payload": {"temperature": 21.5, "humidity": 48, "linkquality": 120},
            "address": "zigbee2mqtt/office",
            "entity_type": "Room",
        },
    },
    "own": {
        "summary": "A profile that is not deployed yet",
        "value": {
            "profile_toml": 'protocol = "iotagent_json"\ntopics = ["heat/{device}/telegram"]\ndevice = "{device}"\n'
            'time = "ts"\n[attributes]\nflow = { name = "flowTemperature", from_unit = "FAH", unit = "CEL" }\n',
            "payload": {"ts": 1775116800, "flow": 131.0},
            "address": "heat/4711/telegram",
            "entity_type": "HeatMeter",
        },
    },
    "refused": {
        "summary": "A thermal camera without its threshold",
        "value": {
            "profile": "onvif-body-temperature",
            "payload": {"UtcTime": "2026-04-02T08:00:00Z", "Data": {"ObjectId": "15", "Temperature": "310.6"}},
        },
    },
}

_ANSWER = {
    "profile": "zigbee2mqtt",
    "address": "zigbee2mqtt/office",
    "device": "office",
    "measures": [
        {
            "kind": "",
            "observed_at": None,
            "fields": [{"name": "temperature", "value": 21.5, "unit": "CEL", "becomes": "temperature"}],
        }
    ],
    "entities": [
        {
            "id": "urn:ngsi-ld:Room:office",
            "type": "Room",
            "temperature": {
                "type": "Property",
                "value": 21.5,
                "unitCode": "CEL",
                "observedAt": "2026-04-02T08:00:00.000Z",
            },
        }
    ],
    "remarks": ["the device office is made up"],
    "problem": None,
}


def trial_router(profiles: Mapping[str, Profile], registry: Registry, secrets: Mapping[str, bytes]) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["profiles"])
    answered = {"application/json": {"example": _ANSWER}}
    content = {"application/json": {"schema": TrialBody.model_json_schema(), "examples": _EXAMPLES}}

    @router.post(
        "/try",
        openapi_extra={
            "requestBody": {"required": True, "content": content},
            "responses": {"200": {"description": "What it becomes, or why nothing", "content": answered}},
        },
    )
    async def try_profile(request: Request) -> Response:
        """What a message becomes: its measures, the entities, remarks; or `problem`: where and why it fails, and the
        way out. 200 in both cases; 400 WRONG_SYNTAX for a body that is no question.
        """
        body = _checked(await object_of(request))
        question = Question(
            profile=_profile(body, profiles),
            payload=_payload(body),
            received_at=_moment(body.at),
            address=body.address,
            device=body.device,
            entity_type=body.entity_type,
            settings=body.settings,
            devices=registry.without_joining() if body.known else None,
            secrets=secrets,
        )
        return answer(attempt(question, registry.pseudonyms))

    @router.get("/profiles")
    async def list_profiles() -> Response:
        """The profiles there are: protocol, topics, routes, fields that pass, and what is made of them."""
        return answer([_told(profile) for profile in profiles.values()])

    return router


def _checked(body: dict[str, Any]) -> TrialBody:
    try:
        return TrialBody.model_validate(body)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, problem["loc"]))
        raise WrongSyntax(f"Wrong syntax in request: {where}: {problem['msg']}") from None


def _profile(body: TrialBody, profiles: Mapping[str, Profile]) -> Profile:
    if body.profile_toml is not None:
        try:
            return profile_of(body.profile_toml, body.profile or "profile")
        except ConfigurationError as error:
            raise WrongSyntax(f"Wrong syntax in request: {error}") from None
    if body.profile not in profiles:
        wrong = f"there is no profile {body.profile}" if body.profile else "give profile or profile_toml"
        raise WrongSyntax(f"Wrong syntax in request: {wrong}")
    return profiles[body.profile]


def _payload(body: TrialBody) -> bytes:
    given = [name for name in ("payload", "payload_text", "payload_base64") if name in body.model_fields_set]
    if len(given) != 1:
        raise WrongSyntax("Wrong syntax in request: give one of payload, payload_text, payload_base64")
    if body.payload_text is not None:
        return body.payload_text.encode()
    if body.payload_base64 is None:
        return orjson.dumps(body.payload)
    try:
        return base64.b64decode(body.payload_base64, validate=True)
    except (binascii.Error, ValueError):
        raise WrongSyntax("Wrong syntax in request: payload_base64 is not Base64") from None


def _moment(text: str) -> datetime:
    try:
        return moment(text)
    except ConfigurationError as error:
        raise WrongSyntax(f"Wrong syntax in request: at: {error}") from None


def _told(profile: Profile) -> dict[str, object]:
    return {
        "name": profile.name,
        "protocol": profile.protocol,
        "topics": [scheme.pattern for scheme in profile.topics],
        "routes": [scheme.pattern for scheme in profile.routes],
        "availabilityTopics": [scheme.pattern for scheme in profile.liveness.topics],
        "device": profile.device.pattern,
        "fields": sorted(profile.allowed),
        "settings": sorted(profile.settings()),
        "entities": [entity.type for entity in profile.entities],
        "attributes": {field: rule.name for field, rule in profile.attributes.items()},
    }
