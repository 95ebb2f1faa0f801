"""The present."""

from datetime import UTC, datetime

from ngsi.datetimes import system_text


def system_now() -> str:
    """The present as a system timestamp."""
    return system_text(datetime.now(UTC))
