"""Why there is no connection to the MQTT broker, in words that say what to look at."""

import socket
import ssl

from agents.mqtt_link import Address

_BY_KIND: dict[type[OSError], str] = {
    ConnectionRefusedError: "nothing listens there",
    TimeoutError: "no answer in time",
}
_REMEDIES = {
    "Not authorized": "look at the user and password in MQTT_URL, or at what the certificate allows",
    "Bad user name or password": "look at the user and password in MQTT_URL",
    "Unsupported protocol version": "set MEDINA_MQTT_VERSION to the other one",
    "Client identifier not valid": "set MEDINA_MQTT_CLIENT_ID to one that is allowed there",
}


def not_connected(address: Address, error: Exception) -> str:
    """Why no connection could be made."""
    if isinstance(error, ssl.SSLCertVerificationError):
        remedy = "MEDINA_MQTT_CA_FILE names the authority that it is from, MQTT_URL the host that it is for"
        said = f"the MQTT broker's certificate is not trusted ({error.verify_message}); {remedy}"
    elif isinstance(error, ssl.SSLError | ConnectionResetError) and address.is_encrypted:
        said = f"no TLS on this port ({error}); is it one for mqtt://?"
    elif isinstance(error, socket.gaierror):
        said = f"the host {address.host} is not known ({error.strerror})"
    else:
        known = (text for kind, text in _BY_KIND.items() if isinstance(error, kind))
        said = next(known, f"{type(error).__name__}: {error}")
    return f"{address}: {said}"


def refused(address: Address, reason: object) -> str:
    """Why the MQTT broker has not accepted the connection; `reason` is its own word."""
    remedy = _REMEDIES.get(str(reason))
    said = f"{address}: the MQTT broker refused the connection: {reason}"
    return said if remedy is None else f"{said}; {remedy}"


def closed_without_answer(address: Address) -> str:
    """What it may mean that the MQTT broker closed a connection before it accepted or refused it."""
    if address.is_encrypted:
        likely = "perhaps it wants another certificate (MEDINA_MQTT_CERT_FILE, MEDINA_MQTT_KEY_FILE)"
    else:
        likely = "perhaps the port is one for TLS (mqtts://)"
    return f"{address}: the MQTT broker closed the connection without an answer; {likely}"
