"""The page in Chromium over a whole Medina: simulator → MQTT → agent → context API → notifier → pilot → browser."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from pilots.campus import rules
from pilots.campus.model import AccessEvent
from pilots.campus.simulator.day import Plan, play
from pilots.campus.simulator.devices import DOORS, VISITOR_READERS
from pilots.campus.site import site_zones, zone_id
from tests.pilots.campus_stack import CampusStack, running_stack
from tests.waiting import until_sync

CHROMIUM: Final = "/usr/bin/chromium"
FLAGS: Final = [
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--no-first-run"),
]
SEED, PEOPLE, SPEED, MINUTES = 11, 80, 2400, 170
WITHIN_MS: Final = 15_000
expect.set_options(timeout=WITHIN_MS)
MIDNIGHT_MARGIN: Final = timedelta(seconds=90)
"""Longer than any test of this file may take."""

pytestmark = pytest.mark.skipif(not os.path.exists(CHROMIUM), reason=f"needs Chromium at {CHROMIUM}")


@pytest.fixture(scope="module")
def campus(tmp_path_factory: pytest.TempPathFactory, mongo: str, mqtt_url: str) -> Iterator[CampusStack]:
    with running_stack(tmp_path_factory.mktemp("campus"), mongo, mqtt_url) as stack:
        yield stack


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser, campus: CampusStack) -> Iterator[Page]:
    """A page that has loaded and shows live data."""
    opened = browser.new_page(viewport={"width": 1280, "height": 800})
    opened.set_default_timeout(WITHIN_MS)
    opened.goto(campus.page_url)
    expect(opened.locator("[data-part=status]")).to_have_text("Live")
    yield opened
    opened.close()


def device_time() -> datetime:
    """Now, or shortly before 00:00 UTC the start of the next day.

    Then the counts of the page begin anew, so what a test counts must not be of two days. Devices may be five minutes
    ahead, and what is ahead counts at once.
    """
    now = datetime.now(UTC)
    next_day = rules.last_reset(now) + timedelta(days=1)
    return next_day + timedelta(seconds=1) if next_day - now < MIDNIGHT_MARGIN else now


def simulate(mqtt_url: str) -> str:
    """Play the morning; what the simulator said."""
    options: dict[str, object] = {"seed": SEED, "people": PEOPLE, "speed": SPEED, "duration": MINUTES}
    options |= {"mqtt-url": mqtt_url, "start": device_time().isoformat()}
    command = [sys.executable, "-m", "broker.cli", "simulate", "campus"]
    command += [f"--{name}={value}" for name, value in options.items()]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def morning() -> list[dict[str, Any]]:
    """Every payload of the same morning without its dirt."""
    plan = Plan(SEED, PEOPLE, datetime(2026, 3, 2, 6, tzinfo=UTC), SPEED, clean=True, day_s=MINUTES * 60)
    return [orjson.loads(message.payload) for _, message in play(plan)]


def expected_people() -> dict[str, int]:
    """People inside each zone after the morning, straight from the payloads."""
    doors = {number: zone for zone, number in DOORS.items()}
    readers = {reader: direction for direction, reader in VISITOR_READERS.items()}
    latest: dict[str, AccessEvent] = {}
    for number, body in enumerate(morning()):
        if body.get("type") == "access":
            seen = (body["uid"], "hall", readers[body["door"]], body["access"] == "Always")
        elif "message" in body:
            event = body["message"]["event"]
            granted = bool(event["access-granted"])
            seen = (str(event["card-number"]), doors[event["door-id"]], event["direction-text"], granted)
        else:
            continue
        holder, zone, direction, granted = seen
        order = datetime(2026, 3, 2, tzinfo=UTC) + timedelta(seconds=number)
        rules.take_event(latest, AccessEvent(str(number), holder, zone_id(zone), direction, granted, order))
    zones = {zone.id: zone for zone in site_zones()}
    counted = rules.occupancy(latest, zones, datetime(2026, 3, 1, tzinfo=UTC))
    return {name: counted[zone_id(name)].inside for name in DOORS}


def entities(campus: CampusStack, type_: str) -> list[dict[str, Any]]:
    found = campus.api("GET", f"/entities?type={type_}&limit=1000").json()
    assert isinstance(found, list)
    return found


def upsert(campus: CampusStack, **entity: Any) -> None:
    assert campus.api("POST", "/entityOperations/upsert?options=update", [entity]).status in (201, 204)


def test_the_page_follows_the_morning_without_reload(campus: CampusStack, page: Page) -> None:
    expected = expected_people()
    hosts: set[str] = set()
    page.on("request", lambda sent: hosts.add(sent.url.split("/")[2].split(":")[0]))
    expect(page.locator("[data-zone]")).to_have_count(5)
    page.evaluate("window.sameDocument = true")

    said = simulate(campus.mqtt_url)

    assert "all acknowledged" in said
    for zone, number in expected.items():
        expect(page.locator(f"[data-zone={zone}] [data-part=people]")).to_have_text(str(number))
    expect(page.locator("[data-part=screenings]")).to_contain_text("pass")
    expect(page.locator("[data-part=freshness]")).to_contain_text("Newest message")
    assert expected["hall"] > 40
    assert page.evaluate("window.sameDocument") is True
    assert hosts <= {"127.0.0.1"}, "the page must work without the web"


def test_no_identity_reaches_an_entity_or_the_page(campus: CampusStack, page: Page) -> None:
    if not entities(campus, "AccessEvent"):
        simulate(campus.mqtt_url)
        until_sync(lambda: entities(campus, "AccessEvent"), within_s=15)
    stored = b"".join(
        orjson.dumps(entities(campus, name)) for name in ("AccessEvent", "TemperatureScreening", "BadgeReader", "Alert")
    ).decode()
    for body in morning():
        secrets = [str(body[name]) for name in ("username", "uid") if name in body]
        if "message" in body:
            secrets.append(str(body["message"]["event"]["card-number"]))
        assert not [secret for secret in secrets if secret in stored]
    assert "/9j/" not in stored
    assert 'Temperature"' not in stored
    pseudonyms = set(re.findall(r'"value":"([0-9a-f]{32})"', stored))
    assert pseudonyms
    shown = page.content()
    assert not [pseudonym for pseudonym in pseudonyms if pseudonym in shown]


def test_crowding_opens_an_alert_and_its_end_closes_it(campus: CampusStack, page: Page) -> None:
    entered = device_time()
    zone = "urn:ngsi-ld:Zone:annex"
    reader = "urn:ngsi-ld:BadgeReader:annex"
    upsert(campus, id=zone, type="Zone", name=value("Annex"), capacity=value(1))
    upsert(campus, id=reader, type="BadgeReader", zone=link(zone))
    badge = {"accessResult": value("granted"), "holder": value("0" * 32), "zone": link(zone)}
    upsert(
        campus,
        **{"id": "urn:ngsi-ld:AccessEvent:annex-1", "type": "AccessEvent", **badge},
        direction=value("in"),
        dateObserved=value(entered.isoformat()),
    )
    tile, alerts = page.locator("[data-zone=annex]"), page.locator("[data-part=alerts]")
    expect(tile).to_have_class(re.compile(r"\bfull\b"))
    expect(alerts).to_contain_text("Annex is full (capacity 1)")

    left = entered + timedelta(seconds=1)
    upsert(
        campus,
        **{"id": "urn:ngsi-ld:AccessEvent:annex-2", "type": "AccessEvent", **badge},
        direction=value("out"),
        dateObserved=value(left.isoformat()),
    )
    expect(tile).to_have_class(re.compile(r"\bnormal\b"))
    until_sync(lambda: alert_status(campus, "security-annex") == "closed", within_s=10)


def test_a_silent_device_is_named(campus: CampusStack, page: Page) -> None:
    reader = "urn:ngsi-ld:BadgeReader:north-door"
    past = (datetime.now(UTC) - timedelta(minutes=5)).isoformat()
    upsert(
        campus,
        id=reader,
        type="BadgeReader",
        zone=link(zone_id("lab")),
        expectedInterval=value(60),
        dateLastValueReported=value(past),
    )
    silent = page.locator("[data-part=silent]")
    expect(silent).to_contain_text("north-door")

    upsert(campus, id=reader, type="BadgeReader", dateLastValueReported=value(datetime.now(UTC).isoformat()))
    expect(silent).not_to_contain_text("north-door")


def test_the_page_admits_an_outage_and_recovers(campus: CampusStack, page: Page) -> None:
    status, warning = page.locator("[data-part=status]"), page.locator("[data-part=warning]")
    expect(warning).to_be_hidden()
    campus.parts["broker"].kill()
    expect(status).to_have_text("API down")
    expect(warning).to_contain_text("does not answer")
    assert campus.send("pilot", "GET", "/ready").status == 503
    campus.parts["broker"].start()
    expect(status).to_have_text("Live")
    expect(warning).to_be_hidden()


def test_without_notifications_the_page_says_so_and_reads_the_api(campus: CampusStack, page: Page) -> None:
    status = page.locator("[data-part=status]")
    campus.parts["notifier"].stop()
    # Ahead of every other device, so that this is the newest message whatever was played before.
    heard = (datetime.now(UTC) + timedelta(minutes=4)).isoformat()
    upsert(campus, id="urn:ngsi-ld:Device:probe", type="Device", dateLastValueReported=value(heard))
    expect(status).to_have_text("Late")
    expect(page.locator("[data-part=warning]")).to_contain_text("Notifications are not arriving")
    campus.parts["notifier"].start()
    expect(status).to_have_text("Live")


def test_a_deleted_subscription_comes_back(campus: CampusStack, page: Page) -> None:
    path = "/subscriptions/urn:ngsi-ld:Subscription:campus-page"
    assert campus.api("DELETE", path).status == 204
    until_sync(lambda: campus.api("GET", path).status == 200, within_s=10)


def test_a_phone_shows_everything_without_sideways_scrolling(campus: CampusStack, page: Page) -> None:
    page.set_viewport_size({"width": 375, "height": 812})
    for part in ("alerts", "screenings", "silent"):
        expect(page.locator(f"[data-part={part}]")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 375


def test_the_pilot_ends_cleanly_while_somebody_looks_at_it(campus: CampusStack, page: Page) -> None:
    pilot = campus.parts["pilot"]
    assert pilot.stop() == 0
    assert "Traceback" not in pilot.log.read_text()
    pilot.start()


@pytest.mark.parametrize("body", [b"", b"[]", b'{"data": 3}', b"\xff\xfe", b'{"subscriptionId": "x"}'])
def test_garbage_at_the_notification_endpoint_is_refused(campus: CampusStack, body: bytes) -> None:
    before = campus.metrics()["medina_pilot_notifications_refused_total"]
    assert campus.send("pilot", "POST", "/notify", body).status == 400
    assert campus.metrics()["medina_pilot_notifications_refused_total"] == before + 1


def test_a_taken_port_is_one_clear_sentence(campus: CampusStack) -> None:
    command = [sys.executable, "-m", "broker.cli", "pilot", "campus"]
    environment = {**os.environ, "MEDINA_PILOT_PORT": str(campus.ports["pilot"])}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=20)
    assert ended.returncode == 2
    assert str(campus.ports["pilot"]) in ended.stderr
    assert "MEDINA_PILOT_PORT" in ended.stderr
    assert "Traceback" not in ended.stderr


def alert_status(campus: CampusStack, name: str) -> str | None:
    """Status of an alert, None if there is none."""
    answer = campus.api("GET", f"/entities/urn:ngsi-ld:Alert:{name}")
    return str(answer.json()["status"]["value"]) if answer.status == 200 else None


def value(content: object) -> dict[str, object]:
    return {"type": "Property", "value": content}


def link(target: str) -> dict[str, object]:
    return {"type": "Relationship", "object": target}
