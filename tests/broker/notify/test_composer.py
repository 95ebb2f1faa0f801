from collections import defaultdict

import orjson
from hypothesis import given
from hypothesis import strategies as st

from broker.contexts import Contexts
from broker.notify.composer import Composer, State
from broker.notify.settings import DeliverySettings
from broker.notify.subscriber import Subscriber, subscriber
from broker.storage.mongo_deliveries import Row
from ngsi import subscription
from ngsi.changes import Change
from ngsi.context import CORE
from ngsi.entity import Entity
from ngsi.vocabulary import CORE_CONTEXT_URL

AT = "2026-03-01T08:00:00.000Z"


def receiver(name: str = "urn:s:1") -> Subscriber:
    body = {
        "type": "Subscription",
        "entities": [{"type": "Room"}],
        "notification": {"endpoint": {"uri": "http://127.0.0.1:1/"}},
    }
    document = subscription.parse(body, CORE, AT).document(name, CORE_CONTEXT_URL, AT)
    made = subscriber("", document, Contexts({}), DeliverySettings(), None)
    assert made is not None
    return made


def state(entity_id: str, request: str, sequence: int) -> State:
    value = [{"type": "Property", "value": sequence, "createdAt": AT, "modifiedAt": AT}]
    entity = Entity(entity_id, ["Room"], AT, AT, {"a": value})
    return State(entity, Change(request, AT, "updated", [("updated", "a", "@none")]), f"{sequence:020x}")


def test_a_request_gives_one_notification_unless_an_entity_is_in_it_twice() -> None:
    composer, told = Composer(), receiver()
    for entity_id, request, sequence in (
        ("urn:a", "r1", 1),
        ("urn:a", "r1", 2),
        ("urn:b", "r1", 3),
        ("urn:b", "r2", 4),
    ):
        composer.add(told, state(entity_id, request, sequence))
    assert [row.entities for _, row in composer.take(AT)] == [["urn:a"], ["urn:a", "urn:b"], ["urn:b"]]
    assert composer.take(AT) == []


def test_ids_depend_on_subscription_and_events_only() -> None:
    def made(name: str, *sequences: int) -> str:
        composer, told = Composer(), receiver(name)
        for sequence in sequences:
            composer.add(told, state(f"urn:{sequence}", "r", sequence))
        ((_, row),) = composer.take(AT)
        return row.notification

    assert made("urn:s:1", 1, 2) == made("urn:s:1", 1, 2)
    assert len({made("urn:s:1", 1, 2), made("urn:s:1", 1), made("urn:s:1", 2), made("urn:s:2", 1, 2)}) == 4


def test_one_rendering_serves_all_subscribers_with_the_same_view() -> None:
    told = state("urn:a", "r", 1)
    assert told.shown(receiver("urn:s:1")) is told.shown(receiver("urn:s:2"))


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["r1", "r2", "r3"])), max_size=20))
def test_an_entity_comes_in_the_order_of_its_changes_and_rows_keep_their_order(changes: list[tuple[str, str]]) -> None:
    composer, told = Composer(), receiver()
    for sequence, (name, request) in enumerate(changes):
        composer.add(told, state(f"urn:{name}", request, sequence))
    expected: dict[str, list[int]] = defaultdict(list)
    for sequence, (name, _) in enumerate(changes):
        expected[f"urn:{name}"].append(sequence)
    rows = [row for _, row in composer.take(AT)]
    assert values_in(rows) == expected
    # In the backlog, rows are ordered by their sequence: that order must be as good.
    assert values_in(sorted(rows, key=lambda row: row.sequence)) == expected


def values_in(rows: list[Row]) -> dict[str, list[int]]:
    values: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        for item in orjson.loads(row.body)["data"]:
            values[item["id"]].append(item["a"]["value"])
    return values
