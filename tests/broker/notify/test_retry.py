from hypothesis import given
from hypothesis import strategies as st

from broker.notify.retry import RetryPolicy

policies = st.builds(
    RetryPolicy,
    first_s=st.floats(0.001, 10),
    cap_s=st.floats(10, 3600),
    retry_after_cap_s=st.floats(1, 7200),
    max_age_s=st.floats(1, 1e7),
)
failures = st.integers(1, 100_000)
jitters = st.floats(0, 1)


@given(policies, failures, jitters)
def test_delay_stays_within_backoff_and_cap(policy: RetryPolicy, count: int, jitter: float) -> None:
    delay = policy.delay_s(count, jitter)
    assert 0 <= delay <= policy.cap_s
    assert delay <= policy.first_s * 2.0 ** min(count - 1, 1000)


@given(policies, failures, jitters)
def test_bound_never_shrinks_with_more_failures(policy: RetryPolicy, count: int, jitter: float) -> None:
    assert policy.delay_s(count, jitter) <= policy.delay_s(count + 1, jitter)


@given(policies, failures, jitters, st.floats(0, 1e6))
def test_the_receivers_wish_is_obeyed_up_to_its_cap(
    policy: RetryPolicy, count: int, jitter: float, wish: float
) -> None:
    delay = policy.delay_s(count, jitter, wish)
    assert delay >= min(wish, policy.retry_after_cap_s)
    assert delay <= max(policy.cap_s, policy.retry_after_cap_s)


@given(policies, st.floats(0, 1e8), st.floats(0, 1e8))
def test_age_limit_is_a_border(policy: RetryPolicy, age: float, more: float) -> None:
    if policy.is_too_old(age):
        assert policy.is_too_old(age + more)


def test_full_jitter_spreads_the_first_retries() -> None:
    policy = RetryPolicy(first_s=1.0, cap_s=8.0)
    assert [policy.delay_s(n, 1.0) for n in (1, 2, 3, 4, 5)] == [1.0, 2.0, 4.0, 8.0, 8.0]
    assert policy.delay_s(5, 0.0) == 0.0
