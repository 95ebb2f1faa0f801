"""What the page says in words: no identity, honest ages, honest warnings."""

from dataclasses import astuple
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from pilots.campus.connection import Connection
from pilots.campus.model import zone_entity
from pilots.campus.site import site_zones, zone_id
from pilots.campus.state import CampusState
from pilots.campus.view import NBSP, ago, view

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOLDER = "5f0c3a9e1b7d42688c1f0a5be3d97a14"


def value(content: object) -> dict[str, object]:
    return {"type": "Property", "value": content, "observedAt": NOON.isoformat()}


def link(target: str) -> dict[str, object]:
    return {"type": "Relationship", "object": target}


def entity(type_: str, local_id: str, /, **attributes: object) -> dict[str, Any]:
    return {"id": f"urn:ngsi-ld:{type_}:{local_id}", "type": type_, **attributes}


@pytest.fixture
def state() -> CampusState:
    """The site with one person in the laboratory and one reader at each badge zone."""
    known = CampusState()
    for zone in site_zones():
        known.take(zone_entity(zone))
    for name in ("hall", "lab"):
        reader = entity("BadgeReader", name, zone=link(zone_id(name)), expectedInterval=value(60))
        known.take(reader | {"dateLastValueReported": value((NOON - timedelta(seconds=20)).isoformat())})
    badge = {"holder": value(HOLDER), "accessResult": value("granted"), "direction": value("in")}
    known.take(entity("AccessEvent", "1", **badge, zone=link(zone_id("lab")), dateObserved=value(NOON.isoformat())))
    return known


@pytest.fixture
def connection() -> Connection:
    """A connection that works."""
    working = Connection(CollectorRegistry())
    working.works()
    working.subscribed = True
    return working


def test_the_building_counts_its_rooms(state: CampusState, connection: Connection) -> None:
    zones = view(state, connection, NOON).zones
    assert list(zones) == ["hall", "gate", "auditorium", "cafeteria", "lab"]
    assert (zones["hall"].people, zones["hall"].caption) == ("1", "of 400 · 1 in its rooms")
    assert (zones["lab"].people, zones["lab"].caption) == ("1", "of 60")


def test_a_zone_without_readers_shows_its_sensor(state: CampusState, connection: Connection) -> None:
    assert view(state, connection, NOON).zones["gate"].people == "?"
    state.take(entity("Zone", "gate", name=value("Gate"), peopleCount=value(4), temperature=value(19.26)))
    gate = view(state, connection, NOON + timedelta(seconds=7)).zones["gate"]
    assert (gate.people, gate.air, gate.sensor) == ("4", f"19.3{NBSP}°C", "Sensor 7 s ago")


def test_no_pseudonym_is_shown(state: CampusState, connection: Connection) -> None:
    assert HOLDER[:8] not in repr(astuple(view(state, connection, NOON)))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-30, "just now"), (1, "just now"), (59, "59 s ago"), (120, "2 min ago"), (7200, "2 h ago"), (200_000, "2 d ago")],
)
def test_ages_are_readable(seconds: float, text: str) -> None:
    assert ago(NOON - timedelta(seconds=seconds), NOON) == text


def test_an_outage_is_shown_with_its_beginning_and_silences_nobody(state: CampusState, connection: Connection) -> None:
    connection.fails("http://127.0.0.1:1026 does not answer (connection refused).", NOON)
    connection.fails("http://127.0.0.1:1026 does not answer (connection refused).", NOON + timedelta(minutes=1))
    shown = view(state, connection, NOON + timedelta(hours=1))
    assert shown.status.level == "down"
    assert "since 13:00:00. This is the last known state." in shown.status.warning
    assert shown.status.freshness == "Newest message 60 min ago"
    assert shown.silent == []
    connection.works()
    assert len(view(state, connection, NOON + timedelta(hours=1)).silent) == 2


def test_before_the_first_answer_nothing_is_claimed(state: CampusState) -> None:
    connection = Connection(CollectorRegistry())
    assert view(CampusState(), connection, NOON).status.level == "connecting"
    connection.fails("no answer", NOON)
    assert "Nothing is known yet" in view(CampusState(), connection, NOON).status.warning


def test_notifications_that_fall_behind_are_noticed(connection: Connection) -> None:
    for heard_ago_s, level in ((0, "live"), (3, "live"), (4, "behind"), (-60, "live")):
        connection.compare(NOON - timedelta(seconds=heard_ago_s), NOON, NOON)
        assert connection.level == level
    connection.compare(None, NOON, NOON)
    assert connection.behind_since == NOON
    connection.compare(None, None, NOON)
    assert connection.behind_since is None


def test_readiness_names_what_is_missing(connection: Connection) -> None:
    assert connection.checks().ready
    connection.fails("down", NOON)
    checks = connection.checks()
    assert (checks.ready, checks.api) == (False, "down")


def test_alerts_of_others_are_shown_too(state: CampusState, connection: Connection) -> None:
    attributes = {
        "category": "security",
        "subCategory": "intrusion",
        "severity": "critical",
        "description": "Door 3 forced",
    }
    foreign = {name: value(text) for name, text in attributes.items()}
    state.take(
        entity("Alert", "guard-17", **foreign, alertSource=link(zone_id("lab")), dateIssued=value(NOON.isoformat()))
    )
    [row] = view(state, connection, NOON).alerts
    assert (row.title, row.detail, row.tone) == ("security", "Door 3 forced", "alarm")
