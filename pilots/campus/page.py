"""The page in the browser: built once a visitor, then only what changed is sent."""

from collections.abc import Callable
from typing import Final
from urllib.parse import quote

from nicegui import ui

from pilots.campus.look import CSS
from pilots.campus.view import Row, View, ZoneCard

REFRESH_S: Final = 0.5
PRIVACY: Final = "Counts and decisions only: no names, no card numbers, no pictures, no body temperatures."


def register(current: Callable[[], View]) -> None:
    """Serve the page at `/`; `current` gives what it shows now."""
    ui.add_css(CSS, shared=True)

    @ui.page("/", title="Campus · live")
    def campus() -> None:
        board = Board(current)
        ui.timer(REFRESH_S, board.refresh)


class Board:
    """The elements of one visitor's page; `refresh` brings them up to date."""

    def __init__(self, current: Callable[[], View]) -> None:
        self._current = current
        self._zones: dict[str, ZoneTile] = {}
        with _div("campus"):
            self._head()
            self._warning = ui.label().classes("warning").props("role=alert data-part=warning")
            self._zone_grid = _div("zones").props("data-part=zones")
            with _div("panels"):
                self._alerts = Panel("Alerts", "alerts", "Nothing needs attention.")
                self._screenings = Panel("Last screenings", "screenings", "No screening yet today.")
                self._silent = Panel("Silent devices", "silent", "Every device is heard.")
            ui.label(PRIVACY).classes("foot")
        self.refresh()

    def _head(self) -> None:
        with _div("campus-head"):
            ui.label("Campus").classes("campus-title")
            ui.label("Cité de l'innovation, Settat").classes("campus-place")
            self._fresh = ui.label().classes("campus-fresh").props("data-part=freshness")
            self._pill = ui.label().props("data-part=status role=status")
            self._clock = ui.label().classes("campus-clock")

    def refresh(self) -> None:
        """Show the current view; elements whose text stays the same are not sent again."""
        shown = self._current()
        self._clock.set_text(shown.clock)
        self._fresh.set_text(shown.status.freshness)
        self._pill.set_text(shown.status.word)
        self._pill.classes(replace=f"pill {shown.status.level}")
        self._warning.set_text(shown.status.warning)
        self._warning.set_visibility(bool(shown.status.warning))
        self._warning.classes(remove="down behind", add=shown.status.level)
        self._zone_grid.classes(replace="zones stale" if shown.status.level == "down" else "zones")
        self._refresh_zones(shown.zones)
        self._screenings.refresh(shown.screenings, "")
        self._alerts.refresh(shown.alerts, f"{shown.open_alerts} open" if shown.open_alerts else "")
        self._silent.refresh(shown.silent, f"{len(shown.silent)} of {shown.devices}" if shown.devices else "")

    def _refresh_zones(self, cards: dict[str, ZoneCard]) -> None:
        if list(cards) != list(self._zones):
            self._zone_grid.clear()
            with self._zone_grid:
                self._zones = {name: ZoneTile(name) for name in cards}
        for name, card in cards.items():
            self._zones[name].refresh(card)


class ZoneTile:
    """The card of one zone."""

    def __init__(self, name: str) -> None:
        with _div("card zone").props(f"data-zone={quote(name)}") as self._card:
            with _div("zone-top"):
                self._name = ui.label().classes("zone-name")
                self._state = ui.label().classes("chip zone-state")
            self._people = ui.label().classes("zone-people").props("data-part=people")
            with _div("bar") as self._bar:
                self._fill = ui.element("div")
            self._caption = ui.label().classes("zone-caption")
            self._air = ui.label().classes("zone-air")
            self._sensor = ui.label().classes("zone-sensor")

    def refresh(self, card: ZoneCard) -> None:
        """Show this card."""
        self._card.classes(replace=f"card zone {card.level}")
        self._name.set_text(card.name)
        self._people.set_text(card.people)
        self._caption.set_text(card.caption)
        self._air.set_text(card.air)
        self._sensor.set_text(card.sensor)
        self._bar.classes(replace="bar none" if card.share is None else "bar")
        share = 0.0 if card.share is None else card.share
        self._state.set_text(f"{100 * share:.0f} %")
        self._fill.style(replace=f"width: {min(share, 1.0):.1%}")


class Panel:
    """A card with a list that is drawn again only when its rows change."""

    def __init__(self, title: str, part: str, empty: str) -> None:
        self._empty = empty
        self._rows: list[Row] | None = None
        with _div("card").props(f"data-part={part}"):
            with _div("panel-head"):
                ui.label(title).classes("panel-title")
                self._count = ui.label().classes("panel-count")
            self._list = _div("panel-rows")

    def refresh(self, rows: list[Row], count: str) -> None:
        """Show these rows."""
        self._count.set_text(count)
        if rows == self._rows:
            return
        self._rows = rows
        self._list.clear()
        with self._list:
            for row in rows:
                _line(row)
            if not rows:
                ui.label(self._empty).classes("row-empty")


def _line(row: Row) -> None:
    with _div(f"row-line {row.tone}"):
        ui.label(row.time).classes("row-time")
        ui.label(row.detail).classes("row-detail")
        ui.label(row.title).classes(f"chip {row.tone}")


def _div(classes: str) -> ui.element:
    return ui.element("div").classes(classes)
