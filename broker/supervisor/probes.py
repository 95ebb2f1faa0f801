"""Questions to a running role or server: does it listen, does it let us in."""

import socket
import threading
from typing import Final
from urllib.parse import unquote, urlsplit

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from broker.supervisor.errors import ServerRefusedLogin, ServerUnreachable, StartError

ASK_WITHIN_S: Final = 2.0
MQTT_PORT: Final = 1883
MQTT_LOGIN_REFUSALS: Final = {"Bad user name or password", "Not authorized"}


def why_not_listening(host: str, port: int) -> str | None:
    """None when something accepts TCP connections there, otherwise the reason."""
    try:
        with socket.create_connection((host, port), timeout=ASK_WITHIN_S):
            return None
    except OSError as problem:
        return f"does not listen: {problem.strerror or problem}"


def why_not_free(host: str, port: int) -> OSError | None:
    """What hinders a server from being bound there now; None when nothing does."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as problem:
            return problem
    return None


def check_mqtt(url: str, within_s: float) -> None:
    """Log in to the broker of MQTT_URL once; raises ServerUnreachable, ServerRefusedLogin, or StartError for no URL."""
    parts = urlsplit(url)
    if parts.scheme != "mqtt" or not parts.hostname:
        raise StartError(f"MQTT_URL {_shown(url)} is not usable: write mqtt://[user:password@]host[:port].")
    answered = threading.Event()
    answers: list[ReasonCode] = []

    def on_connect(_client: paho.Client, _data: object, _flags: object, code: ReasonCode, _properties: object) -> None:
        answers.append(code)
        answered.set()

    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="")
    client.on_connect = on_connect
    if parts.username:
        client.username_pw_set(unquote(parts.username), unquote(parts.password or ""))
    try:
        client.connect(parts.hostname, parts.port or MQTT_PORT)
        client.loop_start()
        answered.wait(within_s)
    except OSError as problem:
        raise ServerUnreachable(_mqtt_silent(url)) from problem
    finally:
        client.disconnect()
        client.loop_stop()
    _judge(url, answers)


def _judge(url: str, answers: list[ReasonCode]) -> None:
    if not answers:
        raise ServerUnreachable(_mqtt_silent(url))
    if str(answers[0]) in MQTT_LOGIN_REFUSALS:
        raise ServerRefusedLogin(
            f"The MQTT broker at {_shown(url)} refuses the user name or password. Check them in MQTT_URL "
            "(special characters percent-encoded)."
        )
    if answers[0].is_failure:
        raise StartError(f"The MQTT broker at {_shown(url)} refuses the connection: {answers[0]}.")


def _mqtt_silent(url: str) -> str:
    return (
        f"The MQTT broker at {_shown(url)} does not answer. Start it, correct MQTT_URL, or unset it so that Medina "
        "starts its own."
    )


def _shown(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"
