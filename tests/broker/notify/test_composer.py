from collections import Counter, defaultdict

import orjson
from hypothesis import given
from hypothesis import strategies as st

from broker.contexts import Contexts
from broker.notify.composer import HOLD_S, Composer, State
from broker.notify.progress import Ticket
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


def state(entity_id: str, request: str, sequence: int, parts: int = 1, ticket: Ticket | None = None) -> State:
    value = [{"type": "Property", "value": sequence, "createdAt": AT, "modifiedAt": AT}]
    entity = Entity(entity_id, ["Room"], AT, AT, {"a": value})
    change = Change(request, AT, "updated", [("updated", "a", "@none")], parts=parts)
    return State(entity, change, f"{sequence:020x}", ticket)


def tell(composer: Composer, subscriber: Subscriber, told: State, now_s: float = 0.0) -> None:
    composer.see(told.change, now_s)
    composer.add(subscriber, told)


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


def test_a_request_is_held_until_all_its_changes_have_come() -> None:
    composer, told, ticket = Composer(), receiver(), Ticket({})
    tell(composer, told, state("urn:a", "r", 1, parts=3, ticket=ticket))
    tell(composer, told, state("urn:b", "r", 2, parts=3, ticket=ticket))
    tell(composer, told, state("urn:c", "other", 3))
    assert [made.row.entities for made in composer.complete(AT, 0.0)] == [["urn:c"]]
    assert composer.is_holding
    assert ticket.opened == 2
    composer.see(state("urn:d", "r", 4, parts=3).change, 0.1)  # one that the subscriber is not told of
    assert [made.row.entities for made in composer.complete(AT, 0.1)] == [["urn:a", "urn:b"]]
    assert not composer.is_holding


def test_a_request_gives_one_notification_also_to_a_subscriber_that_is_made_anew_meanwhile() -> None:
    composer = Composer()
    tell(composer, receiver(), state("urn:a", "r", 1, parts=2))
    tell(composer, receiver(), state("urn:b", "r", 2, parts=2))
    assert [row.entities for _, row in composer.take(AT)] == [["urn:a", "urn:b"]]


def test_a_request_of_which_the_rest_stays_away_is_held_for_a_while() -> None:
    composer, told = Composer(), receiver()
    tell(composer, told, state("urn:a", "r", 1, parts=2), now_s=1.0)
    assert composer.complete(AT, 1.0 + HOLD_S / 2) == []
    assert [made.row.entities for made in composer.complete(AT, 1.0 + HOLD_S)] == [["urn:a"]]


def test_fewer_changes_than_were_announced_first_are_enough() -> None:
    composer, told = Composer(), receiver()
    for number, parts in enumerate((4, 4, 3)):
        tell(composer, told, state(f"urn:{number}", "r", number, parts=parts))
    assert [len(made.row.entities) for made in composer.complete(AT, 0.0)] == [3]


def test_what_follows_on_a_held_entity_is_held_behind_it() -> None:
    composer, told = Composer(), receiver()
    tell(composer, told, state("urn:a", "r", 1, parts=2))
    tell(composer, told, state("urn:a", "later", 2))
    tell(composer, told, state("urn:b", "later", 3))
    assert composer.complete(AT, 0.0) == []
    tell(composer, told, state("urn:c", "r", 4, parts=2))
    assert [made.row.entities for made in composer.complete(AT, 0.1)] == [["urn:a", "urn:c"], ["urn:a", "urn:b"]]


def test_a_subscription_that_changes_is_told_at_once_what_was_held() -> None:
    composer, told = Composer(), receiver()
    tell(composer, told, state("urn:a", "r", 1, parts=2))
    composer.release("", "urn:s:2")
    assert composer.complete(AT, 0.0) == []
    composer.release("", "urn:s:1")
    assert len(composer.complete(AT, 0.0)) == 1


def test_what_is_too_large_for_one_document_comes_in_several() -> None:
    composer, told, ticket = Composer(), receiver(), Ticket({})
    for number in range(3):
        item = state(f"urn:{number}", "r", number, parts=3, ticket=ticket)
        item.entity.attributes["a"][0]["value"] = "x" * 1_500_000
        tell(composer, told, item)
    made = composer.complete(AT, 0.0)
    assert [item.row.entities for item in made] == [["urn:0", "urn:1"], ["urn:2"]]
    assert ticket.opened == 1 + len(made)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.booleans()), max_size=24))
def test_however_the_stream_is_cut_a_request_gives_one_notification(plan: list[tuple[int, int, bool]]) -> None:
    """Requests on entities of their own and a shared one, their changes in any order, batches ending anywhere."""
    composer, told = Composer(), receiver()
    changes = [(f"r{request}", f"urn:{request}:{entity}", is_end) for request, entity, is_end in plan]
    unique = list({(request, entity): is_end for request, entity, is_end in changes}.items())
    parts = Counter(request for (request, _), _ in unique)
    rows = []
    for sequence, ((request, entity), is_end) in enumerate(unique):
        tell(composer, told, state(entity, request, sequence, parts=parts[request]))
        if is_end:
            rows += [made.row for made in composer.complete(AT, 0.0)]
    rows += [made.row for made in composer.complete(AT, 0.0)]
    assert Counter(row.entities[0].split(":")[1] for row in rows) == {request[1:]: 1 for request in parts}
    assert sorted(entity for row in rows for entity in row.entities) == sorted(entity for (_, entity), _ in unique)
    assert not composer.is_holding


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["r1", "r2", "r3"]), st.booleans()), max_size=24))
def test_order_per_entity_outlasts_holding(plan: list[tuple[str, str, bool]]) -> None:
    composer, told = Composer(), receiver()
    parts = Counter(request for _, request, _ in plan)
    expected: dict[str, list[int]] = defaultdict(list)
    rows = []
    for sequence, (name, request, is_end) in enumerate(plan):
        expected[f"urn:{name}"].append(sequence)
        tell(composer, told, state(f"urn:{name}", request, sequence, parts=parts[request]))
        if is_end:
            rows += [made.row for made in composer.complete(AT, 0.0)]
    rows += [made.row for made in composer.complete(AT, 9.0)]
    assert values_in(rows) == expected
    # In the backlog, rows are ordered by their sequence: that order must be as good.
    assert values_in(sorted(rows, key=lambda row: row.sequence)) == expected


def values_in(rows: list[Row]) -> dict[str, list[int]]:
    values: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        for item in orjson.loads(row.body)["data"]:
            values[item["id"]].append(item["a"]["value"])
    return values
