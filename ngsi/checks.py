"""Checks of single JSON members: each gives the value back, or raises BadRequestData naming member, value and rule."""

from collections.abc import Collection
from typing import Any

from ngsi.errors import BadRequestData
from ngsi.names import show


def require_text(value: object, what: str) -> str:
    """A string that is not empty."""
    if not isinstance(value, str) or not value:
        raise BadRequestData(f"{what} {show(value)} must be a string that is not empty")
    return value


def require_boolean(value: object, what: str) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise BadRequestData(f"{what} {show(value)} must be true or false")
    return value


def require_positive(value: object, what: str) -> int | float:
    """A number greater than zero."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise BadRequestData(f"{what} {show(value)} must be a number greater than 0")
    return value


def require_duration(value: object, what: str, max_value: int) -> int | float:
    """A number greater than zero up to a bound, so that a moment so much later is still one."""
    duration = require_positive(value, what)
    if duration > max_value:
        raise BadRequestData(f"{what} {show(value)} must be at most {max_value}")
    return duration


def require_array(value: object, what: str) -> list[Any]:
    """An array that is not empty."""
    if not isinstance(value, list) or not value:
        raise BadRequestData(f"{what} {show(value)} must be an array that is not empty")
    return value


def require_object(value: object, what: str) -> dict[str, Any]:
    """A JSON object."""
    if not isinstance(value, dict):
        raise BadRequestData(f"{what} {show(value)} must be a JSON object")
    return value


def require_choice(value: object, choices: Collection[str], what: str) -> str:
    """One of the words."""
    if not isinstance(value, str) or value not in choices:
        raise BadRequestData(f"{what} {show(value)} must be one of {', '.join(choices)}")
    return value
