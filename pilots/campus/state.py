"""What the pilot knows of the campus: the latest of everything, bounded, fed with entities in any order."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from operator import attrgetter
from typing import Final, TypeVar

from pilots.campus import model, rules
from pilots.campus.model import DEVICE_TYPES, AccessEvent, Alert, Device, JsonEntity, Screening, Zone

MOST_HOLDERS: Final = 50_000
MOST_SCREENINGS: Final = 200
MOST_OTHERS: Final = 5_000

T = TypeVar("T")


class CampusState:
    """Entities as plain values. `version` changes with every entity taken in, so a reader knows when to look again."""

    def __init__(self) -> None:
        self.zones: dict[str, Zone] = {}
        self.devices: dict[str, Device] = {}
        self.latest: dict[str, AccessEvent] = {}
        self.screenings: dict[str, Screening] = {}
        self.alerts: dict[str, Alert] = {}
        self.version = 0
        self._readers: dict[str, Callable[[JsonEntity], None]] = {
            "Zone": lambda entity: _keep(self.zones, str(entity["id"]), model.read_zone(entity)),
            "AccessEvent": self._take_access_event,
            "TemperatureScreening": self._take_screening,
            "Alert": lambda entity: _keep(self.alerts, str(entity["id"]), model.read_alert(entity)),
            **dict.fromkeys(DEVICE_TYPES, self._take_device),
        }

    def take(self, entity: JsonEntity) -> bool:
        """Take in one normalized entity from the API or a notification; False if it is of no type shown here."""
        if not isinstance(entity.get("id"), str):
            return False
        types = entity.get("type")
        reader = next(
            (self._readers[name] for name in (types if isinstance(types, list) else [types]) if name in self._readers),
            None,
        )
        if reader is None:
            return False
        if "deletedAt" in entity:
            self._forget(entity["id"])
        else:
            reader(entity)
        self.version += 1
        return True

    def occupancy(self, now: datetime) -> dict[str, rules.Occupancy]:
        """People of every zone since the last reset."""
        return rules.occupancy(self.latest, self.zones, rules.last_reset(now))

    def wanted_alerts(self, now: datetime) -> dict[str, Alert]:
        """The alerts that should be open now, by id."""
        return rules.wanted_alerts(self.occupancy(now), self.screenings.values(), self.zones, now)

    def newest_message(self) -> datetime | None:
        """When a device was last heard, by its own clock."""
        return max((device.last_heard for device in self.devices.values() if device.last_heard), default=None)

    def _take_access_event(self, entity: JsonEntity) -> None:
        event = model.read_access_event(entity)
        if event is None:
            return
        rules.take_event(self.latest, event)
        if len(self.latest) > MOST_HOLDERS:
            # Long gone under a pseudonym that is no longer in use: the oldest half matters least.
            keep = sorted(self.latest.values(), key=attrgetter("observed_at"))[MOST_HOLDERS // 2 :]
            self.latest = {event.holder: event for event in keep}

    def _take_screening(self, entity: JsonEntity) -> None:
        screening = model.read_screening(entity)
        if screening is None:
            return
        self.screenings[screening.id] = screening
        if len(self.screenings) > MOST_SCREENINGS:
            oldest = min(self.screenings.values(), key=attrgetter("observed_at"))
            del self.screenings[oldest.id]

    def _take_device(self, entity: JsonEntity) -> None:
        device = model.read_device(entity)
        before = self.devices.get(device.id)
        if (
            before is not None
            and before.last_heard
            and (not device.last_heard or device.last_heard < before.last_heard)
        ):
            device = replace(device, last_heard=before.last_heard)
        _keep(self.devices, device.id, device)

    def _forget(self, id_: str) -> None:
        for kept in (self.zones, self.devices, self.screenings, self.alerts):
            kept.pop(id_, None)


def _keep(kept: dict[str, T], id_: str, value: T | None) -> None:
    """Remember a value; beyond the bound new ids are not taken, because what is shown first must stay right."""
    if value is not None and (id_ in kept or len(kept) < MOST_OTHERS):
        kept[id_] = value
