"""What every simulator of a pilot is asked to do; it lives in `pilots/<name>/simulator/app.py` as `run(options)`."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class SimulationOptions:
    """The options of `medina simulate`: `speed` in schedule seconds a real second (infinite: no pauses)."""

    seed: int
    people: int
    speed: float
    start: datetime | None
    loop: bool
    mqtt_url: str
    clean: bool
    duration_minutes: float | None
    dry_run: bool
