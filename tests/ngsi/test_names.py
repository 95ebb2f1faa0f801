"""What error texts show of a client's values."""

from time import process_time
from typing import Any

from hypothesis import given

from ngsi.names import show
from tests.ngsi.strategies import json_values


@given(json_values)
def test_a_value_is_shown_as_python_writes_it(value: Any) -> None:
    text = repr(value)
    assert show(value, 200) == (text if len(text) <= 200 else text[:199] + "…")


def test_a_large_value_is_shown_at_once() -> None:
    rows = [[number, {"k" * 1000: "v" * 1000}] for number in range(100_000)]
    since_s = process_time()
    for value in (rows, {"rows": rows}, "x" * 10_000_000, [[rows]]):
        assert len(show(value)) == 80
    assert process_time() - since_s < 0.05
