"""What notifications say of commands."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.commands.notified import commands_in, idle, is_idle
from agents.errors import MeasureError, WrongShape

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BELL = "urn:ngsi-ld:Bell:1"

json_values = st.recursive(
    st.booleans() | st.integers(-(2**53), 2**53) | st.text() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def notification(at: str = "2026-03-01T11:59:00.000Z", **attributes: Any) -> dict[str, Any]:
    return {
        "id": "urn:n:1",
        "type": "Notification",
        "notifiedAt": at,
        "data": [{"id": BELL, "type": "Bell"} | attributes],
    }


def written(value: Any, second: int = 0, **members: Any) -> dict[str, Any]:
    times = {"createdAt": "2026-01-01T00:00:00.000Z", "modifiedAt": f"2026-03-01T11:58:{second:02}.000Z"}
    return {"type": "Property", "value": value, **times, "previousValue": idle(), **members}


def test_only_what_was_written_is_a_command() -> None:
    untouched = {name: value for name, value in written("old").items() if name != "previousValue"}
    found = commands_in(notification(ring=written("x"), move=untouched, turn=written(idle("c"))), "", NOW)
    assert [(each.entity_id, each.name, each.value) for each in found] == [(BELL, "ring", "x")]
    assert found[0].issued_at == datetime(2026, 3, 1, 11, 58, tzinfo=UTC)


def test_created_attributes_are_commands() -> None:
    times = {"createdAt": "2026-03-01T11:58:00Z", "modifiedAt": "2026-03-01T11:58:00Z"}
    found = commands_in(notification(ring={"type": "Property", "value": "", **times}), "", NOW)
    assert [each.value for each in found] == [""]


def test_deleted_attributes_are_none() -> None:
    assert commands_in(notification(ring=written("urn:ngsi-ld:null")), "", NOW) == []


def test_instances_of_several_datasets_are_several_commands() -> None:
    instances = [written(1), written(2, datasetId="urn:d:2")]
    found = commands_in(notification(ring=instances), "", NOW)
    assert [(each.value, each.dataset) for each in found] == [(1, ""), (2, "urn:d:2")]


def test_brokers_without_times_tell_by_the_notification() -> None:
    bare = {"type": "Property", "value": 1}
    one, again, other = (
        commands_in(notification(at, ring=bare), "", NOW)[0].id for at in ("2026-01-01", "2026-01-01", "2026-01-02")
    )
    assert one == again != other


@given(json_values, json_values)
def test_ids_tell_commands_apart(value: Any, other: Any) -> None:
    """The same write told twice is one command, whatever notification it comes in; another write is another."""
    first = commands_in(notification(ring=written(value)), "", NOW)
    again = commands_in(notification("2026-03-01T11:59:30.000Z", ring=written(value)), "", NOW)
    assert [each.id for each in first] == [each.id for each in again]
    differing = [
        commands_in(notification(ring=written(value, 1)), "", NOW),
        commands_in(notification(ring=written(value)), "tenant", NOW),
        commands_in(notification(move=written(value)), "", NOW),
        commands_in(notification(ring=written(value, previousValue=[other, 1])), "", NOW),
    ]
    ids = [each.id for found in (first, *differing) for each in found]
    assert len(set(ids)) == len(ids)
    assert len(ids) == (0 if is_idle(value) or value == "urn:ngsi-ld:null" else 5)


@given(json_values)
def test_anything_is_commands_or_refused(body: Any) -> None:
    try:
        commands_in(body, "", NOW)
    except MeasureError:
        return


def test_time_of_a_broker_that_is_ahead() -> None:
    found = commands_in(notification(ring=written(1, modifiedAt="2099-01-01T00:00:00Z")), "", NOW)
    assert found[0].issued_at == NOW
    found = commands_in(notification(ring=written(1, modifiedAt="yesterday")), "", NOW + timedelta(hours=1))
    assert found[0].issued_at == NOW + timedelta(hours=1)


@pytest.mark.parametrize("body", [None, [], {}, {"data": {}}, {"data": [1]}, {"data": [{"type": "Bell"}]}])
def test_no_notification(body: Any) -> None:
    with pytest.raises(WrongShape):
        commands_in(body, "", NOW)
