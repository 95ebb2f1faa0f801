"""The committer's queue: nothing is lost, and the requests for each entity leave in the order they came."""

from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from broker.commit_queue import Pending, PendingQueue

moves = st.lists(
    st.tuples(st.just("add"), st.lists(st.sampled_from("abcd"), min_size=1, max_size=6))
    | st.tuples(st.just("take"), st.integers(1, 5))
    | st.tuples(st.just("land"), st.integers(0, 3)),
    max_size=40,
)


def pending(entity_id: str, number: int) -> Pending:
    return Pending(entity_id, lambda entity, now: None, None, number, False)  # type: ignore[arg-type,return-value]


@given(moves, st.integers(0, 1000))
def test_each_entity_keeps_its_order(plan: list[tuple[str, Any]], seed: int) -> None:
    random = Random(seed)
    queue = PendingQueue()
    flights: list[list[Pending]] = []
    done: dict[str, list[int]] = {}
    added: dict[str, list[int]] = {}
    number = 0

    def take(count: int) -> None:
        batch = queue.take(count)
        under_way = {item.entity_id for flight in flights for item in flight}
        assert under_way.isdisjoint(item.entity_id for item in batch)
        if batch:
            flights.append(batch)

    def land(index: int) -> None:
        if not flights:
            return
        flight = flights.pop(index % len(flights))
        # As in a flush, all requests for an entity are tried again or none.
        tried_again = {item.entity_id for item in flight if random.random() < 0.2}
        for item in flight:
            if item.entity_id not in tried_again:
                done.setdefault(item.entity_id, []).append(item.index)
        queue.release(flight, [item for item in flight if item.entity_id in tried_again])

    for move, argument in plan:
        if move == "add":
            items = [pending(entity_id, number + place) for place, entity_id in enumerate(argument)]
            number += len(items)
            for item in items:
                added.setdefault(item.entity_id, []).append(item.index)
            queue.add(items)
        elif move == "take":
            take(argument)
        else:
            land(argument)
        assert len(queue) == sum(map(len, added.values())) - sum(map(len, done.values())) - sum(map(len, flights))
    while len(queue) or flights:
        take(3)
        land(0)
    assert done == added
