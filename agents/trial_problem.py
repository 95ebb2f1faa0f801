"""Why nothing is made of a message that is tried, and the way out of it."""

from dataclasses import dataclass

from agents.errors import MeasureError, UnknownDevice


@dataclass(frozen=True, slots=True)
class Problem:
    """Why nothing is made of a message."""

    stage: str
    """Where: topic, payload, device or mapping."""
    reason: str
    text: str
    way_out: str


def problem_of(stage: str, error: MeasureError, device: str = "", profile: str = "") -> Problem:
    """Return the problem that an error is at a stage of the way."""
    return Problem(stage, error.reason, str(error), _way_out(stage, error, device, profile))


def _way_out(stage: str, error: MeasureError, device: str, profile: str) -> str:
    if isinstance(error, UnknownDevice):
        return (
            f'Name it in the device file: [[device]] id = "{device}", profile = "{profile}"; or let a group accept it'
        )
    if stage == "mapping" and error.reason == "wrong-shape":
        return "Mark the attribute `optional = true` in the profile, or take another `field`, `values` or id template"
    return _WAYS_OUT.get(error.reason, "Compare the payload with the vendor's documentation, or take another profile")


_WAYS_OUT = {
    "not-json": "The payload is cut off or of another format; in a shell, put it in single quotes or in a file (@FILE)",
    "not-cbor": "The payload is cut off or of another format; give binary payloads as a file (@FILE)",
    "not-multipart": "Give the whole body as a file (@FILE), from the first boundary on",
    "not-authentic": "Give the gateway the key of MEDINA_UHPPOTED_KEY, or unset that to take unsigned messages",
    "implausible": "Change `min` and `max` of the attribute, or `from_unit`, if the device is right",
    "empty": "Name a field of the measure in `attributes` of the profile, the group or the device",
    "too-large": "A message has at most 1 MiB",
    "unexpected": "This is a fault of the agent: please report it",
}
