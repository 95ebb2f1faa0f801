"""What an answer of the context broker to a batch means. Pure.

2xx                          committed
207                          committed but for the entities in `errors`, which are refused; for those with status
                             5xx nothing is decided
400, 413, 422                something in the batch is wrong
anything else, or no answer  nothing is decided
"""

from collections.abc import Collection, Mapping
from http import HTTPStatus
from typing import NamedTuple

import orjson

_REFUSED_WHOLE = frozenset({400, 413, 422})


class Trouble(NamedTuple):
    """What the broker says against a write."""

    status: int
    """Of the answer, or of the entity's entry in a 207; 0: there was none."""
    text: str


Troubles = Mapping[str, Trouble]
"""By entity id."""


class Answer(NamedTuple):
    """To a batch. `status` is 0 when none came; then `text` says why."""

    status: int
    body: bytes = b""
    text: str = ""
    pause_asked_s: float | None = None

    @property
    def is_plain_success(self) -> bool:
        """Everything is committed."""
        return 200 <= self.status < 300 and self.status != HTTPStatus.MULTI_STATUS

    @property
    def is_refusal(self) -> bool:
        """Something in the batch is wrong."""
        return self.status in _REFUSED_WHOLE

    def problem(self) -> str:
        """Say what is wrong with the whole request (ProblemDetails, RFC 7807)."""
        if self.text:
            return self.text
        try:
            return f"{self.status} {_text(orjson.loads(self.body), '')}".rstrip()
        except orjson.JSONDecodeError:
            return str(self.status)

    def told_of(self, ids: Collection[str]) -> tuple[Troubles | None, Troubles]:
        """Return what a 207 refuses, and of which entities of the batch nothing is decided.

        The first is None where it cannot be read, or the answer is no 207.
        """
        if self.is_plain_success or self.is_refusal:
            return None, {}
        if self.status != HTTPStatus.MULTI_STATUS:
            return None, dict.fromkeys(ids, Trouble(self.status, self.problem()))
        errors = _errors(self.body)
        if errors is None:
            return None, {}
        undecided = {id_: said for id_, said in errors.items() if said.status >= 500 and id_ in ids}
        return {id_: said for id_, said in errors.items() if id_ not in undecided}, undecided


def _errors(body: bytes) -> Troubles | None:
    """Read a BatchOperationResult (clause 5.2.16); None when it cannot be read."""
    try:
        return {error["entityId"]: _trouble(error.get("error")) for error in orjson.loads(body)["errors"]}
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return None


def _trouble(said: object) -> Trouble:
    status = said.get("status") if isinstance(said, dict) else None
    return Trouble(status if isinstance(status, int) else 0, _text(said, "refused"))


def _text(said: object, otherwise: str) -> str:
    if not isinstance(said, dict):
        return otherwise
    parts = (said.get("title"), said.get("detail"))
    return ": ".join(part for part in parts if isinstance(part, str)) or otherwise
