"""URIs of notification endpoints: what an MQTT one says (clause 7.2), and how any is shown without its password.

mqtt[s]://[user[:password]@]host[:port]/topic[/subtopic…]
"""

import re
from typing import NamedTuple
from urllib.parse import unquote, urlsplit, urlunsplit

MQTT_PORTS = {"mqtt": 1883, "mqtts": 8883}
_TOPIC_BYTES_MAX = 65535
_PASSWORD = re.compile(r"^([^:]*:/*[^:@]*):.*@", re.DOTALL)
_NOT_IN_TOPICS = frozenset("+#\x00")


class MqttEndpoint(NamedTuple):
    """Where notifications are published. User, password and topic are as they are meant, without percent-encoding."""

    is_tls: bool
    host: str
    port: int
    user: str | None
    password: str | None
    topic: str


def parse_mqtt(uri: str) -> MqttEndpoint:
    """The parts of an mqtt or mqtts URI; ValueError says in words what is wrong with it, without showing it."""
    parts = urlsplit(uri)
    if parts.scheme not in MQTT_PORTS or not parts.hostname:
        raise ValueError("it must be mqtt://host/topic or mqtts://host/topic")
    if "?" in uri or "#" in uri:
        raise ValueError("what follows ? or # is no part of the topic; write %3F or leave it out")
    topic = unquote(parts.path[1:], errors="strict")
    if not topic:
        raise ValueError("it has no topic; write it as the path, such as mqtt://example.org/notifications/my-topic")
    if _NOT_IN_TOPICS & set(topic) or len(topic.encode()) > _TOPIC_BYTES_MAX:
        raise ValueError("its topic must be without + and # and shorter than 64 KiB")
    return MqttEndpoint(
        parts.scheme == "mqtts",
        parts.hostname,
        parts.port or MQTT_PORTS[parts.scheme],
        None if parts.username is None else unquote(parts.username, errors="strict"),
        None if parts.password is None else unquote(parts.password, errors="strict"),
        topic,
    )


def without_password(uri: str) -> str:
    """A URI, well formed or not, as an error may show it: without the password if it has one.

    In doubt more is left out: whatever stands between the first colon after the scheme and the last @.
    """
    return _PASSWORD.sub(r"\1@", uri)


def shown_address(uri: str) -> str:
    """A web address or a relative one as it may be shown: without account, query and fragment, which can be secrets."""
    try:
        scheme, authority, path, query, fragment = urlsplit(uri)
    except ValueError:
        return "what is no address"
    host = authority.rpartition("@")[2]
    return urlunsplit((scheme, host, path, "", "")) + ("?…" if query or fragment else "")
