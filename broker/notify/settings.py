"""Settings of the delivery of notifications, from the environment (`MEDINA_DELIVERY_…`)."""

import ssl

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class DeliverySettings(BaseSettings):
    """What an operator can set. Durations are in seconds, sizes in bytes, counts plain numbers."""

    model_config = SettingsConfigDict(env_prefix="MEDINA_DELIVERY_", extra="ignore")

    timeout_s: float = Field(default=3.5, gt=0)
    """How long a receiver may take where the subscription's endpoint has no timeout of its own."""
    timeout_cap_s: float = Field(default=30.0, gt=0)
    """The longest timeout that a subscription can ask for."""
    ca_file: str = ""
    """PEM file with certificate authorities that are trusted besides those of the system."""
    in_flight_count: int = Field(default=8, ge=1)
    """Notifications under way to one endpoint at the same time."""
    queue_count: int = Field(default=1000, ge=1)
    """Notifications waiting in memory for one endpoint; beyond that they wait in MongoDB."""
    queue_bytes: int = Field(default=16_000_000, ge=1)
    """The same for their size."""
    wait_s: float = Field(default=2.0, gt=0)
    """How long a notification may wait in memory before those of its subscription go to MongoDB."""
    first_retry_s: float = Field(default=0.25, gt=0)
    """Upper bound of the waiting after a first failure; doubled with each further one."""
    retry_cap_s: float = Field(default=10.0, gt=0)
    """Upper bound of the waiting after any number of failures."""
    max_age_s: float = Field(default=7 * 24 * 3600.0, gt=0)
    """Age at which an undelivered notification becomes a dead letter."""

    @field_validator("ca_file")
    @classmethod
    def _is_readable(cls, path: str) -> str:
        if path:
            try:
                ssl.create_default_context(cafile=path)
            except OSError as exc:  # also what ssl raises for a file that has no certificates
                raise ValueError(f"no certificates can be read from it: {exc}") from exc
        return path
