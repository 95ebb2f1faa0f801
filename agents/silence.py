"""Devices that should have spoken and have not: their entity says so, and an Alert; both end when they speak again.

Only devices that have an entity of their own (`device_type`) and an expected interval are watched: those that have
spoken to this agent, and those that are named, whether they have ever spoken or not. What the context broker knows of a
device is asked once in the life of an agent, so that a silence that began before it ends as well. The Alert is that of
category `device`, subCategory `silent`: its id follows from the device's, so that each agent writes the same one.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime

import structlog

from agents.device import Device
from agents.fragment import Fragment
from agents.northbound import Known
from agents.speakers import now_ms
from ngsi.datetimes import system_text

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 1.0
EXPECT_EVERY_S = 10.0
"""How soon an agent watches the devices of a slot that it has taken over."""
MAX_QUESTIONS_COUNT = 50
"""Devices the context broker is asked about in one look, when an agent has just met many."""


class Silence:
    """Looks at the devices now and then."""

    def __init__(
        self,
        devices: Callable[[], Iterable[Device]],
        expected: Callable[[], Iterable[Device]],
        write: Callable[[Sequence[Fragment]], Awaitable[None]],
        known: Callable[[Device], Awaitable[Known | None]],
        after_intervals: float,
    ) -> None:
        """`devices`: those that have spoken; `expected`: those that should, and are for this agent to watch; `known`:
        None when the context broker does not answer.
        """
        self._devices = devices
        self._expected = expected
        self._write = write
        self._known = known
        self._after_intervals = after_intervals
        self._expected_ms = 0

    async def run(self) -> None:
        """Look for silent devices, for ever; what hinders a write is raised."""
        while self._after_intervals > 0:
            await asyncio.sleep(LOOK_EVERY_S)
            await self._look()
        await asyncio.Event().wait()

    async def _look(self) -> None:
        now = now_ms()
        if now - self._expected_ms > 1000 * EXPECT_EVERY_S:
            self._expected_ms = now
            for device in self._expected():
                device.heard_ms = device.heard_ms or now  # its intervals begin with the agent
        watched = [device for device in self._devices() if device.about is not None]
        strangers = [device for device in watched if not device.is_asked_about]
        for device in strangers[:MAX_QUESTIONS_COUNT]:
            await self._ask(device)
        for device in watched:
            if device.is_asked_about and is_overdue(device, now, self._after_intervals):
                await self._take(device, now)

    async def _ask(self, device: Device) -> None:
        """Learn whether the device has been silent since before this agent; it may have spoken by now."""
        known = await self._known(device)
        if known is None:
            return
        device.is_asked_about = True
        device.seen_elsewhere = known.seen
        if not known.is_offline or device.is_silent:
            return
        if device.last_reported:
            await self._write(device.availability(system_text(datetime.now(UTC)), online=True))
        else:
            device.is_silent = True

    async def _take(self, device: Device, now: int) -> None:
        heard_ms = device.heard_ms
        known = await self._known(device)
        if known is None:
            return
        if known.seen > max(device.last_reported, device.seen_elsewhere):
            device.seen_elsewhere, device.heard_ms = known.seen, now  # it speaks to another agent
            return
        if device.heard_ms != heard_ms:
            return
        device.is_silent = True
        log.warning("device is silent", device=device.id, entity=device.about_id)
        await self._write(device.availability(system_text(datetime.now(UTC)), online=False))


def is_overdue(device: Device, now: int, after_intervals: float) -> bool:
    """Whether a device has been silent for that many of its intervals, and nobody has said so."""
    interval_s = device.spec.expected_interval_s
    if interval_s is None or device.is_silent or not device.heard_ms or device.about is None:
        return False
    return now - device.heard_ms > 1000 * after_intervals * interval_s
