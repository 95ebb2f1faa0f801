"""Who counts where, what is silent, which alerts open and close."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from pilots.campus import rules
from pilots.campus.model import AccessEvent, Alert, Device, Screening, Zone
from pilots.campus.site import site_zones, zone_id
from pilots.campus.state import CampusState

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
ZONES = {zone.id: zone for zone in site_zones()}
HALL, LAB, CAFETERIA = zone_id("hall"), zone_id("lab"), zone_id("cafeteria")


def event(number: int, holder: str, zone: str, direction: str, minutes: float = 0, granted: bool = True) -> AccessEvent:
    assert direction in ("in", "out")
    return AccessEvent(
        f"urn:ngsi-ld:AccessEvent:1-{number}",
        holder,
        zone,
        "in" if direction == "in" else "out",
        granted,
        NOON + timedelta(minutes=minutes),
    )


def people(*events: AccessEvent, since: datetime = NOON - timedelta(hours=12)) -> dict[str, tuple[int, int]]:
    """(here, inside) of the zones with people."""
    latest: dict[str, AccessEvent] = {}
    for one in events:
        rules.take_event(latest, one)
    counted = rules.occupancy(latest, ZONES, since)
    return {id_: (zone.here, zone.inside) for id_, zone in counted.items() if zone.inside}


def test_a_person_is_in_the_zone_of_the_latest_granted_event() -> None:
    assert people(event(1, "a", HALL, "in")) == {HALL: (1, 1)}
    assert people(event(1, "a", HALL, "in"), event(2, "a", LAB, "in", 1)) == {HALL: (0, 1), LAB: (1, 1)}


def test_out_of_a_room_leads_to_the_building_and_out_of_the_building_away() -> None:
    entered = [event(1, "a", HALL, "in"), event(2, "a", LAB, "in", 1)]
    assert people(*entered, event(3, "a", LAB, "out", 2)) == {HALL: (1, 1)}
    assert people(*entered, event(3, "a", HALL, "out", 2)) == {}


def test_a_denied_badge_moves_nobody() -> None:
    assert people(event(1, "a", HALL, "in"), event(2, "a", LAB, "in", 1, granted=False)) == {HALL: (1, 1)}
    assert people(event(1, "a", HALL, "in", granted=False)) == {}


def test_within_one_second_the_controllers_number_decides() -> None:
    first, second = event(9, "a", LAB, "in"), event(10, "a", LAB, "out")
    assert people(first, second) == people(second, first) == {HALL: (1, 1)}


def test_counts_begin_anew_with_the_day_of_the_pseudonyms() -> None:
    assert rules.last_reset(NOON) == datetime(2026, 3, 2, tzinfo=UTC)
    yesterday = event(1, "a", HALL, "in", minutes=-13 * 60)
    assert people(yesterday, since=rules.last_reset(NOON)) == {}


def test_an_event_of_an_unknown_zone_counts_nowhere() -> None:
    assert people(event(1, "a", zone_id("roof"), "in")) == {}


def test_zones_that_contain_each_other_do_not_hang_the_count() -> None:
    one, two = zone_id("one"), zone_id("two")
    circle = {one: Zone(one, "One", inside=two), two: Zone(two, "Two", inside=one)}
    counted = rules.occupancy({"a": event(1, "a", one, "in")}, circle, NOON)
    assert (counted[one].inside, counted[two].inside) == (1, 1)


EVENTS = st.lists(
    st.builds(
        event,
        number=st.integers(1, 30),
        holder=st.sampled_from("abc"),
        zone=st.sampled_from(sorted(ZONES)),
        direction=st.sampled_from(["in", "out"]),
        minutes=st.integers(0, 10),
        granted=st.booleans(),
    ),
    unique_by=lambda one: one.id,
    max_size=12,
)


@given(EVENTS, st.data())
def test_order_of_arrival_and_repetition_change_nothing(events: list[AccessEvent], data: st.DataObject) -> None:
    arrival = data.draw(
        st.permutations(events + data.draw(st.lists(st.sampled_from(events)) if events else st.just([])))
    )
    assert people(*arrival) == people(*events)


@given(EVENTS)
def test_nobody_is_in_two_places(events: list[AccessEvent]) -> None:
    counted = people(*events)
    assert sum(here for here, _ in counted.values()) <= len({one.holder for one in events if one.granted})


def test_levels_change_at_80_and_100_percent() -> None:
    levels = {number: rules.Occupancy(number, number, 10).level for number in (7, 8, 9, 10, 11)}
    assert levels == {7: "normal", 8: "crowded", 9: "crowded", 10: "full", 11: "full"}
    assert rules.Occupancy(99, 99, None).level == "normal"


def test_a_device_is_silent_after_three_intervals() -> None:
    def heard(seconds_ago: float | None, interval_s: float | None = 10) -> Device:
        last = None if seconds_ago is None else NOON - timedelta(seconds=seconds_ago)
        return Device("urn:ngsi-ld:Device:zs-hall", "Device", HALL, interval_s, last)

    assert not rules.is_silent(heard(30), NOON)
    assert rules.is_silent(heard(30.1), NOON)
    assert rules.is_silent(heard(None), NOON)
    assert not rules.is_silent(heard(None, interval_s=None), NOON)
    assert not rules.is_silent(heard(-60), NOON), "a clock that is ahead is no silence"
    assert [device.last_heard for device in rules.silent([heard(40), heard(10), heard(None)], NOON)] == [
        None,
        NOON - timedelta(seconds=40),
    ]


def test_alerts_open_change_and_close_under_the_same_id() -> None:
    def wanted(inside: int) -> dict[str, Alert]:
        return rules.wanted_alerts({CAFETERIA: rules.Occupancy(inside, inside, 80)}, [], ZONES, NOON)

    id_ = "urn:ngsi-ld:Alert:security-cafeteria"
    assert wanted(63) == {}
    opened = wanted(64)
    assert (opened[id_].severity, opened[id_].is_open) == ("medium", True)
    assert rules.alert_changes({}, opened, NOON) == list(opened.values())
    assert rules.alert_changes(opened, wanted(70), NOON) == [], "the same level is no news"

    later = NOON + timedelta(minutes=5)
    [worse] = rules.alert_changes(opened, wanted(80), later)
    assert (worse.id, worse.severity, worse.issued_at) == (id_, "high", NOON)
    [over] = rules.alert_changes({id_: worse}, {}, later)
    assert (over.id, over.closed_at) == (id_, later)
    assert rules.alert_changes({id_: over}, {}, later) == []
    assert rules.alert_changes({id_: over}, opened, later) == [opened[id_]], "it opens again"


def test_alerts_of_others_stay_as_they_are() -> None:
    foreign = Alert("security", "suspiciousAction", "high", HALL, "Door forced", NOON)
    assert rules.alert_changes({"urn:ngsi-ld:Alert:guard-17": foreign}, {}, NOON) == []
    agents = Alert("device", "silent", "low", "urn:ngsi-ld:Device:zs-hall", "zs-hall sends nothing", NOON)
    assert rules.alert_changes({agents.id: agents}, {}, NOON) == []


def test_a_recheck_raises_a_health_alert_for_some_minutes() -> None:
    camera = "urn:ngsi-ld:ThermalCamera:cam-gate-1"
    screenings = [
        Screening(f"urn:ngsi-ld:TemperatureScreening:{result}", result, zone_id("gate"), camera, NOON)
        for result in ("pass", "misread", "recheck")
    ]
    soon, later = NOON + timedelta(minutes=9), NOON + timedelta(minutes=10)
    [alert] = rules.wanted_alerts({}, screenings, ZONES, soon).values()
    assert (alert.id, alert.category) == ("urn:ngsi-ld:Alert:health-cam-gate-1", "health")
    assert rules.wanted_alerts({}, screenings, ZONES, later) == {}
    assert rules.wanted_alerts({}, screenings[:2], ZONES, soon) == {}


def test_the_state_stays_bounded() -> None:
    state = CampusState()
    for number in range(300):
        state.take(
            {
                "id": f"urn:ngsi-ld:TemperatureScreening:{number}",
                "type": "TemperatureScreening",
                "result": {"type": "Property", "value": "pass"},
                "dateObserved": {"type": "Property", "value": (NOON + timedelta(seconds=number)).isoformat()},
            }
        )
    assert len(state.screenings) == 200
    assert min(one.observed_at for one in state.screenings.values()) == NOON + timedelta(seconds=100)


def test_the_state_lives_with_entities_that_are_not_as_described() -> None:
    state = CampusState()
    assert not state.take({"id": "urn:ngsi-ld:Car:1", "type": "Car"})
    assert not state.take({"type": "Zone"})
    for kind in ("Zone", "Device", "AccessEvent", "TemperatureScreening", "Alert"):
        broken = {"id": f"urn:ngsi-ld:{kind}:1", "type": [kind], "name": 7, "dateObserved": {"value": "soon"}}
        assert state.take(broken)
    assert (len(state.zones), len(state.latest), len(state.screenings), len(state.alerts)) == (1, 0, 0, 0)
    state.take({"id": "urn:ngsi-ld:Zone:1", "type": "Zone", "deletedAt": "2026-03-02T12:00:00Z"})
    assert state.zones == {}
