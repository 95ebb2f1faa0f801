"""Keeps the state equal to the context API: zones written, subscription alive, entities read, alerts up to date."""

import asyncio
import random
from collections.abc import Callable
from datetime import datetime
from typing import Final

import structlog

from pilots.campus import rules
from pilots.campus.connection import Connection
from pilots.campus.model import DEVICE_TYPES, SHOWN_TYPES, Alert, alert_entity, read_device, text, zone_entity
from pilots.campus.site import site_zones
from pilots.campus.state import CampusState
from pilots.context_api import ContextApi, JsonObject
from pilots.errors import ApiRefused, ApiUnavailable

SUBSCRIPTION_ID: Final = "urn:ngsi-ld:Subscription:campus-page"
ALERTS_EVERY_S: Final = 1.0
CHECK_EVERY_TICKS: Final = 5
FIRST_BACKOFF_S: Final = 0.5
LONGEST_BACKOFF_S: Final = 8.0

log = structlog.get_logger()


def page_subscription(notification_uri: str) -> JsonObject:
    """The pilot's subscription: every change of what the page shows."""
    return {
        "id": SUBSCRIPTION_ID,
        "type": "Subscription",
        "description": "Page of the campus pilot",
        "entities": [{"type": name} for name in SHOWN_TYPES],
        "notificationTrigger": ["attributeCreated", "attributeUpdated", "entityDeleted"],
        "notification": {
            "format": "normalized",
            "endpoint": {"uri": notification_uri, "accept": "application/json"},
        },
    }


class Follower:
    """One endless task, `run`; everything it learns goes into the state, every trouble into the connection."""

    def __init__(
        self,
        api: ContextApi,
        state: CampusState,
        connection: Connection,
        notification_uri: str,
        clock: Callable[[], datetime],
    ) -> None:
        self._api = api
        self._state = state
        self._connection = connection
        self._subscription = page_subscription(notification_uri)
        self._clock = clock

    async def run(self) -> None:
        """Follow the API until cancelled; an outage is waited out with growing, jittered pauses."""
        pause_s = FIRST_BACKOFF_S
        while True:
            try:
                await self._begin()
                pause_s = FIRST_BACKOFF_S
                await self._keep_up()
            except (ApiUnavailable, ApiRefused) as error:
                if self._connection.problem != str(error):
                    log.warning("context API lost", problem=str(error))
                self._connection.fails(str(error), self._clock())
            await asyncio.sleep(pause_s * random.uniform(0.7, 1.0))  # noqa: S311 - spreads retries, no secret
            pause_s = min(2 * pause_s, LONGEST_BACKOFF_S)

    async def _begin(self) -> None:
        """Write the zones, subscribe, then read: what changes in between arrives as a notification."""
        await self._api.upsert([zone_entity(zone) for zone in site_zones()])
        await self._subscribe()
        await self._read_everything()
        self._connection.works()
        log.info("following the context API", devices=len(self._state.devices), zones=len(self._state.zones))

    async def _keep_up(self) -> None:
        tick = 0
        while True:
            await self._write_alerts()
            if tick % CHECK_EVERY_TICKS == 0:
                await self._check()
            tick += 1
            await asyncio.sleep(ALERTS_EVERY_S)

    async def _check(self) -> None:
        """The subscription may have been deleted by others, and notifications may not come through."""
        if await self._subscribe():
            await self._read_everything()
        devices = [read_device(entity) for name in DEVICE_TYPES async for entity in self._api.query(name)]
        stored = max((device.last_heard for device in devices if device.last_heard), default=None)
        was_behind = self._connection.behind_since is not None
        self._connection.compare(self._state.newest_message(), stored, self._clock())
        if self._connection.behind_since is not None:
            if not was_behind:
                log.warning("notifications are behind the context API")
            await self._read_everything()

    async def _subscribe(self) -> bool:
        created = await self._api.subscribe(self._subscription)
        if created:
            self._connection.subscriptions.inc()
            log.info("subscribed", subscription=SUBSCRIPTION_ID)
        self._connection.subscribed = True
        return created

    async def _read_everything(self) -> None:
        today = text(rules.last_reset(self._clock()))
        for name in SHOWN_TYPES:
            events = name in ("AccessEvent", "TemperatureScreening")
            async for entity in self._api.query(name, f"dateObserved>={today}" if events else None):
                self._state.take(entity)

    async def _write_alerts(self) -> None:
        now = self._clock()
        changes: list[Alert] = rules.alert_changes(self._state.alerts, self._state.wanted_alerts(now), now)
        if changes:
            entities = [alert_entity(alert) for alert in changes]
            await self._api.upsert(entities, replace=True)
            # Also known at once, or the next round would write them again before their notification is here.
            for entity in entities:
                self._state.take(entity)
