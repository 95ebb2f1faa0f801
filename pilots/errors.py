"""Errors of the pilots.

PilotError
├── UnknownPilot            the operator named a pilot that is not there
├── BadSettings             the operator's settings cannot be used
├── MqttUnavailable         the MQTT broker cannot be reached, refuses, or stops acknowledging
├── ApiUnavailable          the context API gave no answer; trying again later may help
└── ApiRefused              the context API answered with an error
"""


class PilotError(Exception):
    """Base of everything a pilot raises on purpose; its text is one sentence for the operator."""


class UnknownPilot(PilotError):
    """There is no pilot (or no simulator) of this name."""


class BadSettings(PilotError):
    """A setting cannot be used as it is."""


class MqttUnavailable(PilotError):
    """The MQTT broker cannot be reached, refuses the connection, or stops acknowledging."""


class ApiUnavailable(PilotError):
    """The context API gave no answer in time."""


class ApiRefused(PilotError):
    """The context API answered with an error status."""

    def __init__(self, request: str, status: int, body: str) -> None:
        super().__init__(f"{request} was answered {status}: {body[:300]}")
        self.status = status
