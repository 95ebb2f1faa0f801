from hypothesis import given
from hypothesis import strategies as st

from broker.notify.progress import Progress


@given(st.lists(st.integers(0, 3), min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_a_position_is_reached_only_when_everything_before_it_is_settled(counts: list[int], chance: object) -> None:
    progress = Progress()
    open_work = []
    for number, count in enumerate(counts):
        ticket = progress.begin({"n": number})
        for _ in range(count):
            ticket.open()
        open_work += [(number, ticket)] * (count + 1)
    chance.shuffle(open_work)  # type: ignore[attr-defined]  # hypothesis types its Random as object
    assert progress.reached() is None
    while open_work:
        _, ticket = open_work.pop()
        ticket.settle()
        pending = {number for number, _ in open_work}
        expected = min(pending, default=len(counts)) - 1
        assert progress.reached() == ({"n": expected} if expected >= 0 else None)
    assert progress.unsettled == 0
