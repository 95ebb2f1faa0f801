"""The rules of the campus: who counts where, what is silent, what deserves an alert. Pure; time is an argument.

A person counts in the zone of their latest granted event. `out` of an inner zone leads to the zone around it, `out` of
an outermost zone leads away. Latest means latest by the device's time, so the order of arrival and repeated messages
change nothing.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from pilots.campus.model import AccessEvent, Alert, Device, Screening, Zone, short

CROWDED_SHARE: Final = 0.8
SILENT_AFTER_INTERVALS: Final = 3
RECHECK_STAYS: Final = timedelta(minutes=10)

# category and subCategory of the alerts written here
_CROWD: Final = ("security", "crowdRisk")
_RECHECK: Final = ("health", "recheck")


@dataclass(frozen=True, slots=True)
class Occupancy:
    """People of a zone: `inside` counts the zones it contains too. `share` is None without a capacity."""

    here: int
    inside: int
    capacity: int | None

    @property
    def share(self) -> float | None:
        """Part of the capacity in use, 1.0 = full."""
        return self.inside / self.capacity if self.capacity else None

    @property
    def level(self) -> str:
        """`normal`, `crowded` (from 80 % of the capacity) or `full` (from 100 %)."""
        if self.share is None or self.share < CROWDED_SHARE:
            return "normal"
        return "full" if self.share >= 1 else "crowded"


def last_reset(now: datetime) -> datetime:
    """Counts begin anew at 00:00 UTC: then the pseudonyms change, and nobody could badge out under the old one."""
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def take_event(latest: MutableMapping[str, AccessEvent], event: AccessEvent) -> None:
    """Note a badge event if it was granted and is the latest of its holder; in whatever order they come."""
    before = latest.get(event.holder)
    if event.granted and (before is None or _order(event) > _order(before)):
        latest[event.holder] = event


def occupancy(latest: Mapping[str, AccessEvent], zones: Mapping[str, Zone], since: datetime) -> dict[str, Occupancy]:
    """People of every zone, from the latest event of each holder; events before `since` no longer count."""
    here: Counter[str] = Counter()
    for event in latest.values():
        place = _place(event, zones)
        if place is not None and event.observed_at >= since:
            here[place] += 1
    inside = Counter(here)
    for zone, people in here.items():
        for around in _around(zone, zones):
            inside[around] += people
    return {id_: Occupancy(here[id_], inside[id_], zone.capacity) for id_, zone in zones.items()}


def silent(devices: Iterable[Device], now: datetime) -> list[Device]:
    """Devices without a message for three of their intervals, longest silence first; never heard comes first of all."""
    return sorted((device for device in devices if is_silent(device, now)), key=_last_heard)


def is_silent(device: Device, now: datetime) -> bool:
    """Whether nothing was heard for three intervals; a device without an interval may be silent as long as it likes."""
    if device.interval_s is None:
        return False
    return now - _last_heard(device) > timedelta(seconds=SILENT_AFTER_INTERVALS * device.interval_s)


def wanted_alerts(
    occupancies: Mapping[str, Occupancy],
    screenings: Iterable[Screening],
    zones: Mapping[str, Zone],
    now: datetime,
) -> dict[str, Alert]:
    """The alerts that should be open now, by id. Those about silent devices are the agent's."""
    alerts = [*_overcrowding(occupancies, zones, now), *_rechecks(screenings, zones, now)]
    return {alert.id: alert for alert in alerts}


def alert_changes(known: Mapping[str, Alert], wanted: Mapping[str, Alert], now: datetime) -> list[Alert]:
    """What to write: alerts to open, to change (they keep their date of issue), and to close."""
    changes = []
    for id_, alert in wanted.items():
        before = known.get(id_)
        if before is None or not before.is_open:
            changes.append(alert)
        elif (alert.severity, alert.description) != (before.severity, before.description):
            changes.append(replace(alert, issued_at=before.issued_at))
    over = (alert for id_, alert in known.items() if alert.is_open and id_ not in wanted and _is_ours(id_, alert))
    return [*changes, *(replace(alert, closed_at=now) for alert in over)]


def _is_ours(id_: str, alert: Alert) -> bool:
    """Alerts of others are shown, but only those who opened them close them."""
    return id_ == alert.id and (alert.category, alert.sub_category) in (_CROWD, _RECHECK)


def _order(event: AccessEvent) -> tuple[datetime, int, str]:
    """Controllers stamp whole seconds; within one second their event number (the end of the id) decides."""
    return event.observed_at, len(event.id), event.id


def _place(event: AccessEvent, zones: Mapping[str, Zone]) -> str | None:
    if event.direction == "in":
        return event.zone
    zone = zones.get(event.zone)
    return zone.inside if zone is not None else None


def _around(zone_id: str, zones: Mapping[str, Zone]) -> list[str]:
    """The zones that contain this one, inner first; a circle in the data ends the walk."""
    around: list[str] = []
    zone = zones.get(zone_id)
    while zone is not None and zone.inside is not None and zone.inside not in (zone_id, *around):
        around.append(zone.inside)
        zone = zones.get(zone.inside)
    return around


def _last_heard(device: Device) -> datetime:
    return device.last_heard or datetime.min.replace(tzinfo=UTC)


def _overcrowding(occupancies: Mapping[str, Occupancy], zones: Mapping[str, Zone], now: datetime) -> Iterable[Alert]:
    """The text names the limit that was passed and no number of people, so that it changes only with the level."""
    for id_, people in occupancies.items():
        if people.level != "normal":
            limit, severity = ("full", "high") if people.level == "full" else ("filling up", "medium")
            description = f"{zones[id_].name} is {limit} (capacity {people.capacity})"
            yield Alert(*_CROWD, severity, id_, description, now)


def _rechecks(screenings: Iterable[Screening], zones: Mapping[str, Zone], now: datetime) -> Iterable[Alert]:
    """One alert a camera, for some minutes after its last recheck; the decision is a human's."""
    last: dict[str, Screening] = {}
    for screening in screenings:
        if screening.result == "recheck" and screening.device is not None:
            before = last.get(screening.device)
            if before is None or screening.observed_at > before.observed_at:
                last[screening.device] = screening
    for device, screening in last.items():
        if now - screening.observed_at < RECHECK_STAYS:
            place = _name(screening.zone, zones)
            description = f"Measure again with a clinical thermometer at {place} ({short(device)})"
            yield Alert(*_RECHECK, "medium", device, description, screening.observed_at)


def _name(zone_id: str | None, zones: Mapping[str, Zone]) -> str:
    if zone_id is None:
        return "the gate"
    zone = zones.get(zone_id)
    return zone.name if zone is not None else short(zone_id)
