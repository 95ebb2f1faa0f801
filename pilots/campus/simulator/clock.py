"""Time of the simulation: from seconds of the schedule to what a device's clock shows."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pilots.campus.site import SITE_TIME


@dataclass(frozen=True, slots=True)
class Skew:
    """A device whose clock is wrong by `error_s` seconds between two times of the schedule."""

    device: str
    begin_s: float
    end_s: float
    error_s: float


@dataclass(frozen=True, slots=True)
class Clock:
    """Schedule second s happens at `start` + s / `speed`; so at any speed the devices' clocks are right."""

    start: datetime
    speed: float
    skew: Skew | None = None

    def is_wrong(self, device: str, at_s: float) -> bool:
        """Whether this device's clock is off at this second of the schedule."""
        return self.skew is not None and self.skew.device == device and self.skew.begin_s <= at_s < self.skew.end_s

    def reading(self, device: str, at_s: float) -> datetime:
        """What the clock of the device shows (UTC)."""
        moment = self.start + timedelta(seconds=at_s / self.speed)
        if self.skew is not None and self.is_wrong(device, at_s):
            moment += timedelta(seconds=self.skew.error_s)
        return moment


def utc_text(moment: datetime) -> str:
    """ISO 8601 with milliseconds and Z, as cameras and sensors write it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def local_text(moment: datetime) -> str:
    """Local time with its offset, as the door controllers write it: `2026-03-02 08:15:00 +01`."""
    return moment.astimezone(SITE_TIME).strftime("%Y-%m-%d %H:%M:%S +01")
