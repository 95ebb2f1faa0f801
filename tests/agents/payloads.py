"""Payloads for property tests: any bytes, any JSON, and nearly right messages."""

import json
from typing import Any

from hypothesis import strategies as st

from tests.agents.corpus import CASES, Case

SCALARS: st.SearchStrategy[Any] = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
JSON: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def _places(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Paths to every value inside of a JSON value, itself excluded."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, item in items for place in ((*path, key), *_places(item, (*path, key)))]


@st.composite
def nearly_right(draw: st.DrawFn, case: Case) -> bytes:
    """A payload of the corpus with values replaced or removed, perhaps cut off or with a byte changed."""
    try:
        body = json.loads(case.payload)
    except ValueError:
        return _damaged(draw, case.payload)
    for _ in range(draw(st.integers(0, 3))):
        places = _places(body)
        if not places:
            break
        *parents, last = draw(st.sampled_from(places))
        inner = body
        for key in parents:
            inner = inner[key]
        if draw(st.booleans()):
            inner[last] = draw(JSON)
        else:
            del inner[last]
    payload = json.dumps(body).encode()
    return _damaged(draw, payload)


def _damaged(draw: st.DrawFn, payload: bytes) -> bytes:
    damage = draw(st.sampled_from(["none", "none", "cut", "byte"]))
    if damage == "none" or not payload:
        return payload
    position = draw(st.integers(0, len(payload) - 1))
    if damage == "cut":
        return payload[:position]
    return payload[:position] + draw(st.binary(min_size=1, max_size=1)) + payload[position + 1 :]


FORMS = [
    f"{slash}{protocol}open/m1/{channel}"
    for slash in ("/", "")
    for protocol in ("", "json/", "ul/")
    for channel in ("attrs", "attrs/level", "cmdexe", "configuration/commands")
]
"""Every form of topic of the FIWARE agents."""
ULTRALIGHT = st.text('ab1.9|#@"{}-:TZ\n ', max_size=30).map(str.encode)


def messages() -> st.SearchStrategy[tuple[str, bytes]]:
    """Topic and payload: nearly right ones, any JSON or any bytes on a device's topic, anything on any topic."""
    topics = sorted({case.topic for case in CASES})
    near = st.sampled_from(CASES).flatmap(lambda case: st.tuples(st.just(case.topic), nearly_right(case)))
    any_json = st.tuples(st.sampled_from(topics), JSON.map(lambda value: json.dumps(value).encode()))
    any_bytes = st.tuples(st.sampled_from(topics) | st.text(max_size=40), st.binary(max_size=80))
    of_the_contract = st.tuples(st.sampled_from(FORMS), ULTRALIGHT | JSON.map(lambda value: json.dumps(value).encode()))
    return near | any_json | any_bytes | of_the_contract
