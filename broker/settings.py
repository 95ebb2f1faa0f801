"""Settings of the context API and the notifier, from the environment."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from broker.address_rule import address_rule
from broker.logs import LogLevel


class Settings(BaseSettings):
    """What an operator can set. Sizes are in bytes, durations in seconds, counts are plain numbers."""

    model_config = SettingsConfigDict(env_prefix="MEDINA_", extra="ignore", populate_by_name=True)

    mongodb_uri: str = Field(default="mongodb://127.0.0.1:27017", validation_alias="MONGODB_URI")
    database: str = Field(default="medina", pattern=r"^[a-z][a-z0-9]{0,20}$")
    """Name of the default tenant's database and prefix of the others'."""
    log_level: Annotated[LogLevel, BeforeValidator(str.lower)] = "info"
    """Lines of this level and those above it are logged."""
    host: str = "127.0.0.1"
    port: int = Field(default=1026, ge=1, le=65535)
    notifier_port: int = Field(default=1027, ge=1, le=65535)
    contexts: str = ""
    """Folders of preloaded @contexts, separated like PATH; each has an index.json that maps URLs to files."""
    fetch_contexts: Literal["public", "any", "none"] = "public"
    """From where other @contexts are fetched: public addresses, any address (also private ones), or nowhere."""
    context_timeout_s: float = Field(default=2.0, gt=0)
    """How long fetching an @context may take, redirects and all."""
    context_bytes: int = Field(default=1_000_000, ge=1)
    """Size of a fetched @context document at the most."""
    public_url: str = Field(default="", pattern=r"^(https?://[^\s?#]+)?$")
    """Where clients reach this API, e.g. https://city.example; empty: the name by which each request calls it."""
    notify_addresses: str = "public"
    """Where notifications may go: public addresses, networks, addresses and host names, separated by commas, or `any`.

    Example: `public,10.20.0.0/16,receiver.local`.
    """
    queue_count: int = Field(default=5000, ge=1)
    """Entity writes that may wait for the committer of a tenant; beyond that the answer is 503 with Retry-After."""
    flush_count: int = Field(default=500, ge=1)
    """Entity writes in one flush at the most."""
    cache_bytes: int = Field(default=100_000_000, ge=0)
    """Memory for the entities that the committer of a tenant remembers, to save the read before the write."""
    body_bytes: int = Field(default=10_000_000, ge=1)
    """Size of a request body at the most."""
    bodies_bytes: int = Field(default=32_000_000, ge=1)
    """Bodies being worked on at the same time, in all; beyond that the answer is 503 with Retry-After."""
    query_timeout_s: float = Field(default=10.0, gt=0)
    """How long MongoDB may work on one query before it is answered 403 TooComplexQuery."""
    mongodb_timeout_s: float = Field(default=5.0, gt=0)
    """How long a request waits for MongoDB to be there before it is answered 503."""
    stream_count: int = Field(default=1000, ge=1)
    """Streams (SSE, WebSocket) that one process serves at the same time; beyond that the answer is 503."""
    stream_bytes: int = Field(default=1_000_000, ge=1)
    """What may wait for one client of a stream; beyond that its stream ends and it comes back where it stopped."""
    transfer_timeout_s: float = Field(default=30.0, gt=0)
    """How long a client may take to send its body, or to take the next 64 KiB of an answer."""
    cors_origins: str = Field(default="", pattern=r"^(\*|https?://[^\s,*/]+(\s*,\s*https?://[^\s,*/]+)*)?$")
    """Web pages that may call this API from a browser: `*` for all, or their origins, separated by commas."""
    operator_key: str = ""
    """Bearer token of the operators' resources under /ngsi-ld/ex/v1; as long as it is empty, these are closed."""

    @field_validator("notify_addresses")
    @classmethod
    def _is_rule(cls, text: str) -> str:
        address_rule(text)
        return text
