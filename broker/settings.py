"""Settings of the context API and the notifier, from the environment."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """What an operator can set. Sizes are in bytes, durations in seconds, counts are plain numbers."""

    model_config = SettingsConfigDict(env_prefix="MEDINA_", extra="ignore", populate_by_name=True)

    mongodb_uri: str = Field(default="mongodb://127.0.0.1:27017", validation_alias="MONGODB_URI")
    database: str = Field(default="medina", pattern=r"^[a-z][a-z0-9]{0,20}$")
    """Name of the default tenant's database and prefix of the others'."""
    host: str = "127.0.0.1"
    port: int = Field(default=1026, ge=1, le=65535)
    notifier_port: int = Field(default=1027, ge=1, le=65535)
    contexts: str = ""
    """Folders of preloaded @contexts, separated like PATH; each has an index.json that maps URLs to files."""
    queue_count: int = Field(default=5000, ge=1)
    """Entity writes that may wait for the committer of a tenant; beyond that the answer is 503 with Retry-After."""
    flush_count: int = Field(default=500, ge=1)
    """Entity writes in one flush at the most."""
    cache_count: int = Field(default=20_000, ge=0)
    """Entities that the committer of a tenant remembers, to save the read before the write."""
    body_bytes: int = Field(default=10_000_000, ge=1)
    """Size of a request body at the most."""
    mongodb_timeout_s: float = Field(default=5.0, gt=0)
    """How long a request waits for MongoDB to be there before it is answered 503."""
