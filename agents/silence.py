"""Devices that should have spoken and have not: their entity says so, and an Alert; both end when they speak again.

Only devices that have an entity of their own (`device_type`) and an expected interval are watched, from their first
message to this agent on. The Alert is that of category `device`, subCategory `silent`: its id follows from the
device's, so whoever else watches the same device (a pilot's rules) writes the same Alert, not a second one.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime

import structlog

from agents.device import Device
from agents.fragment import Fragment
from agents.speakers import now_ms
from ngsi.datetimes import system_text

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 1.0


class Silence:
    """Looks at the devices now and then."""

    def __init__(
        self,
        devices: Callable[[], Iterable[Device]],
        write: Callable[[Sequence[Fragment]], Awaitable[None]],
        last_seen: Callable[[Device], Awaitable[str]],
        after_intervals: float,
    ) -> None:
        """`last_seen` gives the time of the newest message that the context broker knows of, by whichever agent."""
        self._devices = devices
        self._write = write
        self._last_seen = last_seen
        self._after_intervals = after_intervals

    async def run(self) -> None:
        """Look for silent devices, for ever."""
        while self._after_intervals > 0:
            await asyncio.sleep(LOOK_EVERY_S)
            now = now_ms()
            for device in list(self._devices()):
                if is_overdue(device, now, self._after_intervals):
                    await self._take(device, now)
        await asyncio.Event().wait()

    async def _take(self, device: Device, now: int) -> None:
        heard_ms = device.heard_ms
        if await self._last_seen(device) > device.last_reported:
            device.heard_ms = now  # it speaks to another agent
            return
        if device.heard_ms != heard_ms:
            return
        device.is_silent = True
        log.warning("device is silent", device=device.id, entity=device.about_id)
        await self._write(device.availability(system_text(datetime.now(UTC)), online=False))


def is_overdue(device: Device, now: int, after_intervals: float) -> bool:
    """Whether a device that was heard has been silent for that many of its intervals, and nobody has said so."""
    interval_s = device.spec.expected_interval_s
    if interval_s is None or device.is_silent or not device.heard_ms or device.about is None:
        return False
    return now - device.heard_ms > 1000 * after_intervals * interval_s
