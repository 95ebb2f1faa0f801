"""Tells the operator how far the day is and, at the end, what was sent."""

import math
import time
from collections import Counter
from types import TracebackType
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from pilots.campus.simulator.journeys import FIRST_HOUR
from pilots.campus.simulator.message import Message

PLAIN_LINE_EVERY_S: Final = 3600.0


class Report:
    """Counts what was sent; a progress bar on a terminal, one line an hour of the schedule elsewhere."""

    def __init__(self, console: Console, day_s: float) -> None:
        self._console = console
        self._day_s = day_s
        self._began = time.monotonic()
        self._next_line = (0, 0.0)
        self.sent = 0
        self.kinds: Counter[str] = Counter()
        self.dirt: Counter[str] = Counter()
        self._progress = Progress(
            TextColumn("Day {task.fields[day]}  {task.fields[hour]}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[sent]} messages"),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("day", total=day_s, day=1, hour=clock_face(0), sent=0)

    def __enter__(self) -> "Report":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def add(self, day: int, message: Message) -> None:
        """Count one message (a withheld one was not sent) and show how far the day is."""
        if message.dirt is not None:
            self.dirt[message.dirt] += 1
        if message.dirt != "withheld":
            self.sent += 1
            self.kinds[message.kind] += 1
        self._progress.update(
            self._task, completed=message.at_s, day=day + 1, hour=clock_face(message.at_s), sent=f"{self.sent:,}"
        )
        if not self._console.is_terminal and (day, message.at_s) >= self._next_line:
            self._console.print(f"Day {day + 1}  {clock_face(message.at_s)}  {self.sent:,} messages")
            passed = math.floor(message.at_s / PLAIN_LINE_EVERY_S) + 1
            self._next_line = (day, passed * PLAIN_LINE_EVERY_S)
            if self._next_line[1] >= self._day_s:
                self._next_line = (day + 1, 0.0)

    def summary(self, acknowledged: bool) -> None:
        """Print what was sent, by device kind and by kind of dirt."""
        assurance = "all acknowledged by the MQTT broker" if acknowledged else "some not acknowledged"
        seconds = time.monotonic() - self._began
        self._console.print(f"Sent {self.sent:,} messages in {seconds:.1f} s, {assurance}.")
        table = Table(box=None, pad_edge=False, header_style="bold")
        for heading in ("device", "messages", "dirt", "messages"):
            table.add_column(heading, justify="right" if heading == "messages" else "left")
        rows = max(len(self.kinds), len(self.dirt), 1)
        kinds, dirt = self.kinds.most_common(), self.dirt.most_common()
        for row in range(rows):
            table.add_row(*_cells(kinds, row), *(_cells(dirt, row) if dirt else ("none", "")))
        self._console.print(table)


def _cells(counts: list[tuple[str, int]], row: int) -> tuple[str, str]:
    if row >= len(counts):
        return "", ""
    name, number = counts[row]
    return ("withheld (silent device)" if name == "withheld" else name), f"{number:,}"


def clock_face(at_s: float) -> str:
    """Hour and minute of the schedule."""
    return f"{FIRST_HOUR + int(at_s // 3600):02}:{int(at_s % 3600 // 60):02}"
