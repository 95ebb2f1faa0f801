import random
from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from broker.notify.ordering import Ordered, Ordering


class Item(Ordered):
    __slots__ = ("number",)

    def __init__(self, number: int, keys: tuple[str, ...]) -> None:
        super().__init__(keys)
        self.number = number


key_sets = st.lists(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=3, unique=True), max_size=40)


@given(key_sets, st.integers(0, 2**32), st.integers(1, 8))
def test_items_with_a_common_key_run_one_after_another_in_order(keys: list[list[str]], seed: int, width: int) -> None:
    chance = random.Random(seed)
    ordering: Ordering[Item] = Ordering()
    waiting = [Item(number, tuple(names)) for number, names in enumerate(keys)]
    ready: list[Item] = []
    running: list[Item] = []
    finished: dict[str, list[int]] = defaultdict(list)
    while waiting or ready or running:
        if waiting and chance.random() < 0.5:
            item = waiting.pop(0)
            if ordering.add(item):
                ready.append(item)
        elif ready and len(running) < width:
            running.append(ready.pop(0))
            busy = [key for item in running for key in item.keys]
            assert len(busy) == len(set(busy)), "two running items share a key"
        elif running:
            done = running.pop(chance.randrange(len(running)))
            for key in done.keys:
                finished[key].append(done.number)
            ready += ordering.finish(done)
        elif not waiting:
            raise AssertionError("items are left, but none may start")
    assert len(ordering) == 0
    for key in "abcdef":
        assert finished[key] == [number for number, names in enumerate(keys) if key in names]


@given(key_sets, st.integers(0, 8))
def test_withdrawal_gives_back_all_that_has_not_started_in_order(keys: list[list[str]], started_count: int) -> None:
    ordering: Ordering[Item] = Ordering()
    items = [Item(number, tuple(names)) for number, names in enumerate(keys)]
    startable = [item for item in items if ordering.add(item)]
    started = set(startable[:started_count])
    withdrawn = ordering.withdraw_all_but(started)
    assert withdrawn == [item for item in items if item not in started]
    assert len(ordering) == len(started)
    for item in started:
        assert ordering.finish(item) == []


def test_an_item_with_the_same_key_twice_does_not_wait_for_itself() -> None:
    ordering: Ordering[Item] = Ordering()
    item = Item(0, ("a", "a"))
    assert ordering.add(item)
    assert ordering.finish(item) == []
