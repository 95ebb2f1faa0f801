"""How to reach the MQTT broker: address, credentials, protocol version, certificates."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from agents.errors import ConfigurationError

PORTS = {"mqtt": 1883, "mqtts": 8883}

Version = Literal["3.1.1", "5"]


@dataclass(frozen=True, slots=True)
class Address:
    """Where the MQTT broker is, and who the agent is there."""

    host: str
    port: int
    user: str | None
    password: str | None
    is_encrypted: bool = False

    @classmethod
    def of(cls, url: str) -> "Address":
        """Read `mqtt[s]://[user:password@]host[:port]`."""
        parts = urlsplit(url)
        user, password = (unquote(part) if part is not None else None for part in (parts.username, parts.password))
        port = parts.port or PORTS.get(parts.scheme, PORTS["mqtt"])
        return cls(parts.hostname or "127.0.0.1", port, user, password, parts.scheme == "mqtts")

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Link:
    """The settings of every connection. `receive_maximum` counts messages in flight, with MQTT 5 only."""

    address: Address
    version: Version = "3.1.1"
    receive_maximum: int = 1000
    tls: ssl.SSLContext | None = None

    @property
    def is_mqtt_5(self) -> bool:
        """Whether it is MQTT 5."""
        return self.version == "5"

    def client(self, client_id: str) -> Client:
        """Return a client whose session stays, that acknowledges and reconnects only when it is told to."""
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=None if self.is_mqtt_5 else False,
            protocol=MQTTProtocolVersion.MQTTv5 if self.is_mqtt_5 else MQTTProtocolVersion.MQTTv311,
            manual_ack=True,
            reconnect_on_failure=False,
        )
        if self.address.user is not None:
            client.username_pw_set(self.address.user, self.address.password)
        if self.tls is not None:
            client.tls_set_context(self.tls)
        return client


def tls_context(ca_file: Path | None, cert_file: Path | None, key_file: Path | None) -> ssl.SSLContext:
    """Return the context of an encrypted connection: the broker's certificate and name are always checked.

    `ca_file`: the only authorities trusted; without it those of the system. `ConfigurationError` names the file.
    """
    try:
        context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"MEDINA_MQTT_CA_FILE: {ca_file}: {error}") from error
    if cert_file is not None:
        try:
            context.load_cert_chain(cert_file, key_file)
        except (OSError, ssl.SSLError) as error:
            raise ConfigurationError(f"MEDINA_MQTT_CERT_FILE, MEDINA_MQTT_KEY_FILE: {cert_file}: {error}") from error
    return context
