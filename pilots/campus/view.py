"""What the page shows, as plain text and numbers: pure, and without any identity."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Final

from pilots.campus import rules
from pilots.campus.connection import Connection
from pilots.campus.model import Alert, Device, Screening, Zone, short
from pilots.campus.site import SITE_TIME
from pilots.campus.state import CampusState

ROWS: Final = 10
NBSP: Final = "\u00a0"
CLOSED_ALERTS_STAY: Final = timedelta(minutes=15)
KINDS: Final = {"ThermalCamera": "thermal camera", "BadgeReader": "badge reader", "Device": "zone sensor"}
SEVERITIES: Final = ("critical", "high", "medium", "low", "informational")


@dataclass(frozen=True, slots=True)
class ZoneCard:
    """One zone: `people` from badges, or from the sensor where there is no badge reader."""

    name: str
    people: str
    caption: str
    level: str
    share: float | None
    air: str
    sensor: str


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a list; `tone` chooses its colour."""

    time: str
    title: str
    detail: str
    tone: str


@dataclass(frozen=True, slots=True)
class Status:
    """How far the page can be believed: a word, a sentence, and a warning if there is one."""

    level: str
    word: str
    freshness: str
    warning: str


@dataclass(frozen=True, slots=True)
class View:
    """The whole page at one moment."""

    status: Status
    clock: str
    zones: dict[str, ZoneCard]
    screenings: list[Row]
    alerts: list[Row]
    open_alerts: int
    silent: list[Row]
    devices: int


def view(state: CampusState, connection: Connection, now: datetime) -> View:
    """The page from what is known now."""
    occupancies = state.occupancy(now)
    with_readers = {device.zone for device in state.devices.values() if device.type == "BadgeReader"}
    newest = sorted(state.screenings.values(), key=attrgetter("observed_at"), reverse=True)
    # While the API is down nothing is heard at all; that is no silence of the devices.
    silent = rules.silent(state.devices.values(), connection.problem_since or now)
    return View(
        status=_status(state, connection, now),
        clock=now.astimezone(SITE_TIME).strftime("%H:%M:%S"),
        zones={
            short(id_): _zone_card(zone, occupancies[id_], id_ in with_readers, now)
            for id_, zone in _outermost_first(state.zones)
        },
        screenings=[_screening_row(screening, state.zones) for screening in newest[:ROWS]],
        alerts=[_alert_row(alert) for alert in _shown_alerts(state.alerts.values(), now)[:ROWS]],
        open_alerts=sum(alert.is_open for alert in state.alerts.values()),
        silent=[_silent_row(device, state.zones, now) for device in silent],
        devices=len(state.devices),
    )


def ago(moment: datetime, now: datetime) -> str:
    """`just now`, `3 s ago`, `12 min ago`, `5 h ago`, `2 d ago`; a clock that is ahead counts as now."""
    seconds = (now - moment).total_seconds()
    if seconds < 1.5:
        return "just now"
    for limit, unit, name in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{int(seconds // unit)} {name} ago"
    return f"{int(seconds // 86_400)} d ago"


def _status(state: CampusState, connection: Connection, now: datetime) -> Status:
    newest = state.newest_message()
    freshness = "No device has reported yet" if newest is None else f"Newest message {ago(newest, now)}"
    match connection.level:
        case "connecting":
            return Status("connecting", "Connecting", freshness, "")
        case "down":
            since = (connection.problem_since or now).astimezone(SITE_TIME).strftime("%H:%M:%S")
            shown = "This is the last known state." if connection.loaded else "Nothing is known yet."
            warning = f"No connection to the context API since {since}. {shown} {connection.problem}"
            return Status("down", "API down", freshness, warning)
        case "behind":
            warning = "Notifications are not arriving; the page reads the context API every few seconds instead."
            return Status("behind", "Late", freshness, warning)
        case "live":
            return Status("live", "Live", freshness, "")


def _outermost_first(zones: dict[str, Zone]) -> list[tuple[str, Zone]]:
    """The building with its rooms first, then what stands alone, then the rooms, by name."""
    with_rooms = {zone.inside for zone in zones.values()}
    return sorted(zones.items(), key=lambda item: (item[1].inside is not None, item[0] not in with_rooms, item[1].name))


def _zone_card(zone: Zone, people: rules.Occupancy, has_readers: bool, now: datetime) -> ZoneCard:
    counted = zone.people_counted
    heard = "No sensor value yet" if zone.observed_at is None else f"Sensor {ago(zone.observed_at, now)}"
    if not has_readers:
        number = "?" if counted is None else str(counted)
        return ZoneCard(zone.name, number, "seen by the sensor", "normal", None, _air(zone), heard)
    if counted is not None:
        heard += f", sees{NBSP}{counted}"
    rooms = people.inside - people.here
    caption = f"of {people.capacity}" if people.capacity else "by badge"
    if rooms:
        caption += f" · {rooms} in its rooms"
    return ZoneCard(zone.name, str(people.inside), caption, people.level, people.share, _air(zone), heard)


def _air(zone: Zone) -> str:
    parts = []
    if zone.celsius is not None:
        parts.append(f"{zone.celsius:.1f}{NBSP}°C")
    if zone.co2_ppm is not None:
        parts.append(f"{zone.co2_ppm:.0f}{NBSP}ppm{NBSP}CO₂")
    return " · ".join(parts)


def _screening_row(screening: Screening, zones: dict[str, Zone]) -> Row:
    tone = {"pass": "calm", "recheck": "warn"}.get(screening.result, "mute")
    where = _zone_name(screening.zone, zones)
    camera = f" · {short(screening.device)}" if screening.device else ""
    return Row(_time(screening.observed_at), screening.result, where + camera, tone)


def _shown_alerts(alerts: Iterable[Alert], now: datetime) -> list[Alert]:
    """Open ones by severity, the newest first; then those that have just ended."""
    alerts = sorted(alerts, key=lambda alert: alert.closed_at or alert.issued_at, reverse=True)
    open_ = sorted((alert for alert in alerts if alert.is_open), key=_urgency)
    ended = [alert for alert in alerts if alert.closed_at and now - alert.closed_at < CLOSED_ALERTS_STAY]
    return [*open_, *ended]


def _urgency(alert: Alert) -> int:
    return SEVERITIES.index(alert.severity) if alert.severity in SEVERITIES else len(SEVERITIES)


def _alert_row(alert: Alert) -> Row:
    if alert.closed_at is not None:
        return Row(_time(alert.closed_at), "over", alert.description, "mute")
    tone = {"critical": "alarm", "high": "alarm", "medium": "warn"}.get(alert.severity, "note")
    return Row(_time(alert.issued_at), alert.category, alert.description, tone)


def _silent_row(device: Device, zones: dict[str, Zone], now: datetime) -> Row:
    heard = "never" if device.last_heard is None else ago(device.last_heard, now)
    detail = f"{KINDS.get(device.type, device.type)} · {_zone_name(device.zone, zones)}"
    return Row(heard, short(device.id), detail, "warn" if device.type == "BadgeReader" else "note")


def _zone_name(id_: str | None, zones: dict[str, Zone]) -> str:
    if id_ is None:
        return "unknown zone"
    return zones[id_].name if id_ in zones else short(id_)


def _time(moment: datetime) -> str:
    return moment.astimezone(SITE_TIME).strftime("%H:%M:%S")
