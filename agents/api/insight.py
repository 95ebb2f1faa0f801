"""What passes through the agent: `/devices`, `/tail`, `/rejected`, `/rejected/replay`."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from agents.api.replay import Replay, Wanted
from agents.errors import StoreUnavailable, UnknownDevice, UnknownTopic
from agents.ledger import moment
from agents.message import Message
from agents.profile import Profile
from agents.pseudonyms import Pseudonyms
from agents.redaction import shown, shown_topic
from agents.rejections import Rejections
from agents.routing import Router
from agents.speakers import Speaker, Speakers
from agents.watching import Watching
from ngsi.datetimes import system_text

KEEP_ALIVE_S = 10.0
_UNKNOWN = UnknownDevice.reason


class Insight:
    """Shows speakers and messages as they may be looked at."""

    def __init__(self, speakers: Speakers, router: Router, pseudonyms: Pseudonyms) -> None:
        self._speakers = speakers
        self._router = router
        self._pseudonyms = pseudonyms

    def devices(self, name: str, *, unknown: bool, limit: int, url: str) -> list[dict[str, Any]]:
        """Those heard last come first. `url`: by which the agent was asked, ends with a slash."""
        heard = [each for each in self._speakers if each.count and self._is_wanted(each, name, unknown=unknown)]
        heard.sort(key=lambda each: each.heard_ms, reverse=True)
        return [self._device(each, url) for each in heard[:limit]]

    def message(self, message: Message) -> dict[str, Any]:
        """One line of `/tail`."""
        topic = self._topic(message.topic)
        return {
            "at": system_text(moment(message.stamp_ms)),
            "device": _name(message.speaker) if topic == message.topic else topic,
            "topic": topic,
            "outcome": message.outcome,
            "detail": "" if message.error is None else str(message.error),
            "entities": [fragment.entity_id for fragment in message.fragments],
            "payload": self._shown(message.topic, message.payload),
        }

    def _is_wanted(self, speaker: Speaker, name: str, *, unknown: bool) -> bool:
        if speaker.is_foreign or self._topic(speaker.topic) != speaker.topic:
            return False  # no device of ours; or the address of a stranger, perhaps
        if name and name not in (_name(speaker), speaker.key):
            return False
        return not unknown or (speaker.error is not None and speaker.error[0] == _UNKNOWN)

    def _device(self, speaker: Speaker, url: str) -> dict[str, Any]:
        made = {
            "device": _name(speaker),
            "apikey": speaker.parts.get("apikey", ""),
            "topic": speaker.topic,
            "slot": speaker.slot,
            "messages": speaker.count,
            "lastHeard": system_text(moment(speaker.heard_ms)),
            "intervalSeconds": round(speaker.interval_ms / 1000, 1),
            "lastPayload": self._shown(speaker.topic, speaker.payload),
            "errors": speaker.error_count,
            "dropped": speaker.dropped_count,
        }
        if speaker.error is not None:
            reason, detail = speaker.error
            made["lastError"] = {
                "reason": reason,
                "detail": detail,
                "at": system_text(moment(speaker.error_at_ms)),
            }
            if reason == _UNKNOWN and speaker.parts.get("device"):
                made["provision"] = _command(speaker, url)
        return made

    def _topic(self, topic: str) -> str:
        """The topic without what its profile calls sensitive."""
        return shown_topic(topic, self._profile(topic))

    def _shown(self, topic: str, payload: bytes) -> str:
        return shown(payload, self._profile(topic), self._pseudonyms)

    def _profile(self, topic: str) -> Profile | None:
        try:
            return self._router.route(topic).profile
        except UnknownTopic:
            return None


def insight_router(
    insight: Insight, watching: Watching, rejections: Rejections, replay: Replay, stopping: asyncio.Event
) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["insight"])

    @router.get("/devices")
    async def devices(
        request: Request, device: str = "", unknown: bool = False, limit: Annotated[int, Query(ge=1)] = 100
    ) -> Response:
        """Who speaks: how often, when last, the last payload and error; `unknown`: only those nobody has provisioned.

        An unknown device comes with a command that provisions it.
        """
        return _json(insight.devices(device, unknown=unknown, limit=limit, url=str(request.base_url)))

    @router.get("/tail")
    async def tail(device: str = "", failed: bool = False) -> StreamingResponse:
        """Messages as they are done with, a JSON object a line, from now on; empty lines keep the connection alive."""

        async def lines() -> AsyncIterator[bytes]:
            messages = watching.messages()
            coming = asyncio.ensure_future(anext(messages))
            yield b"\n"
            try:
                while not stopping.is_set():
                    done, _ = await asyncio.wait((coming,), timeout=KEEP_ALIVE_S)
                    if not done:
                        yield b"\n"
                        continue
                    message = coming.result()
                    coming = asyncio.ensure_future(anext(messages))
                    is_wanted = not device or device in (_name(message.speaker), message.speaker.key)
                    if is_wanted and (not failed or message.error is not None):
                        yield orjson.dumps(insight.message(message)) + b"\n"
            finally:
                coming.cancel()
                await asyncio.gather(coming, return_exceptions=True)
                await messages.aclose()  # type: ignore[attr-defined] # a generator

        return StreamingResponse(lines(), media_type="application/x-ndjson")

    _add_rejected(router, rejections, replay)
    return router


def _add_rejected(router: APIRouter, rejections: Rejections, replay: Replay) -> None:
    @router.get("/rejected")
    async def rejected(
        reason: str = "", topic: str = "", limit: Annotated[int, Query(ge=1, le=10_000)] = 200
    ) -> Response:
        """The latest messages that could not be stored, newest first; those with an `id` can be replayed."""
        condition = {name: value for name, value in (("reason", reason), ("topic", topic)) if value}
        return _json(await rejections.listed(limit, condition))

    @router.post("/rejected/replay")
    async def replay_rejected(wanted: Wanted) -> Response:
        """Convert rejected messages again, oldest first: `{"ids": […]}`, or `{"reason", "topic", "limit"}`.

        Those that are stored now are rejected no more. Answers how many were `stored`, `rejected` again, and could not
        be replayed because their payload was not kept (`notKept`). 503 without MongoDB.
        """
        try:
            return _json(await replay.run(wanted))
        except StoreUnavailable as error:
            return _json({"title": str(error)}, 503)


def _name(speaker: Speaker) -> str:
    return speaker.parts.get("device", speaker.key)


def _command(speaker: Speaker, url: str) -> str:
    body = {"device_id": speaker.parts["device"], "apikey": speaker.parts.get("apikey", ""), "entity_type": "Device"}
    text = orjson.dumps({"devices": [body]}).decode().replace("'", "'\\''")
    return (
        f"curl -X POST {url}iot/devices -H 'Content-Type: application/json' "
        f"-H 'fiware-service: SERVICE' -H 'fiware-servicepath: /' -d '{text}'"
    )


def _json(content: object, status: int = 200) -> Response:
    return Response(orjson.dumps(content), status, media_type="application/json")
