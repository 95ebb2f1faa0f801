"""Settings of the agent, from the environment; see docs/operators.md."""

import os
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from agents.errors import ConfigurationError
from agents.mqtt_link import PORTS, Address, Link, Version, tls_context
from agents.pseudonyms import KEY_BYTES
from agents.slots import MAX_COUNT


def _mqtt_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        complete = parts.scheme in PORTS and parts.hostname and (parts.port or True)
    except ValueError:
        complete = False
    if not complete:
        raise ValueError("write it as mqtt://[user:password@]host[:port], or mqtts://… with TLS")
    return url


def _http_url(url: str) -> str:
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise ValueError("write it as http://host:port")
    return url.rstrip("/")


def _http_url_or_empty(url: str) -> str:
    return _http_url(url) if url else url


class Settings(BaseSettings):
    """What an operator can set. Sizes are in bytes, durations in seconds, counts are plain numbers."""

    model_config = SettingsConfigDict(env_prefix="MEDINA_", extra="ignore", populate_by_name=True)

    mqtt_url: Annotated[str, AfterValidator(_mqtt_url)] = Field(
        default=f"mqtt://127.0.0.1:{PORTS['mqtt']}", validation_alias="MQTT_URL"
    )
    mqtt_client_id: str = Field(default="medina-agent", min_length=1, max_length=65535)
    """The name of the session at the MQTT broker: must stay the same, and no other client may have it."""
    mqtt_version: Version = "3.1.1"
    mqtt_receive_maximum: int = Field(default=1000, ge=1, le=65535)
    """Unacknowledged messages the MQTT broker may send, with MQTT 5; otherwise its own setting counts."""
    mqtt_ca_file: Path | None = None
    """Authorities of the MQTT broker's certificate, for mqtts:// (without: those of the system)."""
    mqtt_cert_file: Path | None = None
    mqtt_key_file: Path | None = None
    agent_slots: int = Field(default=1, ge=1, le=MAX_COUNT)
    """Into how many sessions the devices are divided: at least as many as there are agents; the same in all of them."""
    device_rate: float = Field(default=100.0, ge=0)
    """Messages a device may send each second, on the average; 0: any number. What is more is dropped, and counted."""
    device_burst_count: int = Field(default=3000, ge=1)
    """Messages a device may send at once, as after an outage."""
    mongodb_uri: str = Field(default="mongodb://127.0.0.1:27017", validation_alias="MONGODB_URI")
    """Where provisioned groups and devices are kept; empty: nowhere, the device files are all there is."""
    database: str = Field(default="medina", pattern=r"^[a-z][a-z0-9]{0,20}$")
    """The agents' database is `<database>-agents`."""
    mongodb_timeout_s: float = Field(default=5.0, gt=0)
    """How long a provisioning request waits for MongoDB before it is answered 503."""
    broker_url: Annotated[str, AfterValidator(_http_url)] = "http://127.0.0.1:1026"
    tenant: str = ""
    """Tenant of the devices in device files, and of the service `service`."""
    service: str = ""
    """The fiware-service whose entities are in `tenant`; those of any other are in the tenant of its name."""
    agent_context: str = Field(default="", pattern=r"^(https?://[^\s<>]+)?$")
    """@context of the names that are provisioned over the API; empty: the core @context."""
    default_apikey: str = "1234"
    """The apikey of devices that are provisioned without one and without a group (the FIWARE agents' `defaultKey`)."""
    autoprovision: bool = True
    """0: no group accepts devices that nobody has named."""
    devices: str = ""
    """Device files, separated like PATH."""
    pseudonym_key: str = Field(default="", repr=False)
    pseudonym_key_file: Path | None = None
    uhppoted_key: str = Field(default="", repr=False)
    """The gateways' `mqtt.security.HMAC.key`; empty: messages need not be signed."""
    uhppoted_key_file: Path | None = None
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(str.lower)] = "info"
    """Lines of this level and those above it are logged, until /admin/log says otherwise."""
    host: str = "127.0.0.1"
    agent_port: int = Field(default=4041, ge=0, le=65535)
    """Port of the provisioning API and of /health /ready /metrics /rejected; 0: any free one."""
    south_port: int = Field(default=7896, ge=0, le=65535)
    """Port of HTTP devices; 0: any free one."""
    south_timeout_s: float = Field(default=10.0, gt=0)
    """How long an HTTP device waits until its measure is committed; then it is answered 503."""
    agent_url: Annotated[str, AfterValidator(_http_url_or_empty)] = ""
    """Where the context broker's notifications reach this agent; empty: on this machine, at the agent's port."""
    command_expires_s: float = Field(default=600.0, gt=0, le=31_536_000)
    """How long after it was written a command may be carried out; then it is EXPIRED."""
    batch_count: int = Field(default=300, ge=1, le=1000)
    """Entities in one request to the context broker at the most."""
    waiting_count: int = Field(default=20_000, ge=1)
    """Messages that may wait for the context broker; beyond that the agent stops reading from the MQTT broker."""
    silent_after_intervals: float = Field(default=3.0, ge=0)
    """A device that has not spoken for so many of its expected intervals is offline; 0: no device is watched."""
    rejected_kept_count: int = Field(default=10_000, ge=1)
    """Rejected messages kept in MongoDB, of all agents; the oldest go first."""
    rejected_count: int = Field(default=200, ge=1)
    """Rejected messages kept at /rejected; the oldest go first."""

    @field_validator("service")
    @classmethod
    def _in_lower_case(cls, service: str) -> str:
        return service.lower()

    @property
    def device_files(self) -> list[Path]:
        """The device files."""
        return [Path(name) for name in self.devices.split(os.pathsep) if name]

    def link(self) -> Link:
        """Return how the MQTT broker is reached; `ConfigurationError` when a certificate cannot be used."""
        address = Address.of(self.mqtt_url)
        tls = tls_context(self.mqtt_ca_file, self.mqtt_cert_file, self.mqtt_key_file) if address.is_encrypted else None
        return Link(address, self.mqtt_version, self.mqtt_receive_maximum, tls)

    def notify_url(self, port: int) -> str:
        """Return where notifications reach the agent that listens on this port."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)  # noqa: S104 - compared, not bound
        return self.agent_url or f"http://{host}:{port}"

    def key(self) -> bytes:
        """Return the pseudonym key, empty when none is set; `ConfigurationError` when it cannot be used."""
        key = _secret(self.pseudonym_key, self.pseudonym_key_file, "MEDINA_PSEUDONYM_KEY_FILE")
        if 0 < len(key) < KEY_BYTES:
            raise ConfigurationError(f"The pseudonym key is shorter than {KEY_BYTES} bytes")
        return key

    def keys(self) -> dict[str, bytes]:
        """Return the keys that devices sign their messages with, by the names profiles have for them."""
        key = _secret(self.uhppoted_key, self.uhppoted_key_file, "MEDINA_UHPPOTED_KEY_FILE")
        return {"uhppoted": key} if key else {}


def _secret(given: str, file: Path | None, variable: str) -> bytes:
    if given or file is None:
        return given.encode()
    try:
        return file.read_bytes().strip()
    except OSError as error:
        raise ConfigurationError(f"{variable}: {error}") from error


def read_settings() -> Settings:
    """Return the settings of the environment; `ConfigurationError` names each variable that is wrong, and why."""
    try:
        return Settings()
    except ValidationError as error:
        raise ConfigurationError("\n".join(_lines(error))) from error


def _lines(error: ValidationError) -> list[str]:
    lines = []
    for problem in error.errors(include_url=False, include_input=False):
        name = str(problem["loc"][0])
        variable = name if name.isupper() else f"MEDINA_{name.upper()}"
        lines.append(f"{variable}: {problem['msg'].removeprefix('Value error, ')}")
    return lines
