"""The example page in Chromium follows a subscription, also when the process that serves it is killed meanwhile."""

from __future__ import annotations

import functools
import http.server
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.conftest import unused_port
from tests.end_to_end.city import CONTEXTS, is_ready, request
from tests.end_to_end.process import Process
from tests.pilots.test_page import CHROMIUM, FLAGS, WITHIN_MS

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
SUBSCRIPTION = "urn:ngsi-ld:Subscription:live"
CITY = "/ngsi-ld/v1"

pytestmark = pytest.mark.skipif(not os.path.exists(CHROMIUM), reason=f"needs Chromium at {CHROMIUM}")


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name is the base class's
        """Says nothing."""


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    """Where a web server, which is not the broker, serves the examples."""
    handler = functools.partial(_Quiet, directory=str(EXAMPLES))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class Apis:
    """Two processes of the context API. Browsers see the first one; both can write."""

    def __init__(self, folder: Path, mongodb_uri: str, origin: str) -> None:
        self.ports = {name: unused_port() for name in ("first", "second")}
        settings = {
            "MONGODB_URI": mongodb_uri,
            "MEDINA_DATABASE": "livepage",
            "MEDINA_CORS_ORIGINS": origin,
            "MEDINA_CONTEXTS": str(CONTEXTS),
        }
        self.parts = {
            name: Process(
                name,
                [sys.executable, "-m", "broker.cli", "broker"],
                {**settings, "MEDINA_PORT": str(port)},
                folder,
                functools.partial(is_ready, port),
            )
            for name, port in self.ports.items()
        }

    def write(self, number: int, value: int) -> None:
        """Writes an entity by the process that lives on."""
        body = [{"id": f"urn:ngsi-ld:Room:{number}", "type": "Room", "level": {"type": "Property", "value": value}}]
        answer = request(self.ports["second"], "POST", f"{CITY}/entityOperations/upsert", body)
        assert answer.status in (201, 204), answer.body


@pytest.fixture(scope="module")
def apis(tmp_path_factory: pytest.TempPathFactory, mongo: str, origin: str) -> Iterator[Apis]:
    made = Apis(tmp_path_factory.mktemp("live"), mongo, origin)
    for part in made.parts.values():
        part.start(wait=False)
    for part in made.parts.values():
        part.wait_ready()
    yield made
    for part in made.parts.values():
        part.end()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser, apis: Apis, origin: str) -> Iterator[Page]:
    """The example page, live."""
    body = {
        "id": SUBSCRIPTION,
        "type": "Subscription",
        "entities": [{"type": "Room"}],
        "notification": {"endpoint": {"uri": "stream:"}},
    }
    assert request(apis.ports["second"], "POST", f"{CITY}/subscriptions", body).status in (201, 409)
    opened = chromium.new_page()
    opened.set_default_timeout(WITHIN_MS)
    opened.goto(f"{origin}/live.html?broker=http://127.0.0.1:{apis.ports['first']}&subscription={SUBSCRIPTION}")
    expect(opened.locator("#state")).to_have_text("live")
    yield opened
    opened.close()


def test_a_killed_process_leaves_no_gap_in_the_page(apis: Apis, page: Page) -> None:
    apis.write(0, 1)
    expect(page.locator("#count")).to_have_text("1")
    first = apis.parts["first"]
    first.kill()
    for number in range(20):
        apis.write(number % 5, 100 + number)
    expect(page.locator("#state")).to_have_text("reconnecting")
    first.start()
    expect(page.locator("#state")).to_have_text("live")
    expect(page.locator("#count")).to_have_text("21")
    for number in range(5):
        expect(page.locator(f"[data-entity='urn:ngsi-ld:Room:{number}']")).to_contain_text(f"level: {115 + number}")
    apis.write(0, 7)
    expect(page.locator("#count")).to_have_text("22")


def test_a_stopped_process_ends_its_streams_at_once(apis: Apis, page: Page) -> None:
    first = apis.parts["first"]
    assert first.stop() == 0
    log = first.log.read_text()
    assert "Traceback" not in log
    assert "graceful shutdown exceeded" not in log
    apis.write(0, 8)
    first.start()
    expect(page.locator("[data-entity='urn:ngsi-ld:Room:0']")).to_contain_text("level: 8")


def test_a_deleted_subscription_is_told(apis: Apis, page: Page) -> None:
    assert request(apis.ports["second"], "DELETE", f"{CITY}/subscriptions/{SUBSCRIPTION}").status == 204
    expect(page.locator("#state")).to_have_text("ended")
