"""An explanation and the matcher say the same."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.notify.explanation import delivery_findings, is_told, match_findings, subscription_findings
from broker.notify.subscriber import criteria
from ngsi import subscription
from ngsi.changes import Before, Change
from ngsi.context import CORE
from ngsi.entity import Entity
from ngsi.vocabulary import CORE_CONTEXT_URL

pytestmark = pytest.mark.clause("5.8.6")

CREATED, MOMENTS = "2026-03-01T08:00:01.000Z", [f"2026-03-01T08:00:0{second}.000Z" for second in range(4)]
LINKED = {f"urn:z:{level}": Entity(f"urn:z:{level}", ["Zone"], CREATED, CREATED, {}) for level in range(2)}
for number, zone in enumerate(LINKED.values()):
    zone.attributes["level"] = [{"type": "Property", "value": number}]

names = st.sampled_from("abc")
ids = st.sampled_from(["urn:r:1", "urn:r:2"])
selectors = st.fixed_dictionaries(
    {"type": st.sampled_from(["Room", "Hall", "Room|Hall", "(Room;Hall)", "*"])},
    optional={"id": ids | st.lists(ids, min_size=1), "idPattern": st.sampled_from(["^urn:r:1$", "2", "^urn:x"])},
)
terms = st.sampled_from(
    ["a==1", "b>0", "!c", "a", "c==1..2", "zone{level}==1", "zone{Zone:level}>0", "zone", "!zone{b}"]
)
queries = st.recursive(
    terms,
    lambda inner: st.builds(
        lambda parts, sign: f"({sign.join(parts)})", st.lists(inner, min_size=2, max_size=3), st.sampled_from(";|")
    ),
    max_leaves=4,
)
members = st.fixed_dictionaries(
    {"localOnly": st.just(True)},
    optional={
        "entities": st.lists(selectors, min_size=1, max_size=2),
        "watchedAttributes": st.lists(names, min_size=1),
        "notificationTrigger": st.lists(st.sampled_from(subscription.TRIGGERS), min_size=1),
        "q": queries,
        "scopeQ": st.sampled_from(["/A", "/A/#", "/B"]),
        "geoQ": st.sampled_from([1, 30_000_000]).map(
            lambda metres: {"georel": f"near;maxDistance=={metres}", "geometry": "Point", "coordinates": [8, 40]}
        ),
        "isActive": st.booleans(),
    },
)
values = st.sampled_from([0, 1, 2]).map(lambda value: [{"type": "Property", "value": value}])
links = st.sampled_from([*LINKED, "urn:z:none"]).map(lambda known: [{"type": "Relationship", "object": known}])
places = st.just([{"type": "GeoProperty", "value": {"type": "Point", "coordinates": [9, 41]}}])
entities = st.builds(
    lambda known, types, attributes, scopes: Entity(known, types, MOMENTS[0], MOMENTS[0], attributes, scopes),
    ids,
    st.lists(st.sampled_from(["Room", "Hall"]), min_size=1, unique=True),
    st.fixed_dictionaries({}, optional=dict.fromkeys("abc", values) | {"zone": links, "ngsi-ld:location": places}),
    st.lists(st.sampled_from(["/A", "/A/B"]), unique=True),
)
attribute_changes = st.lists(
    st.tuples(st.sampled_from(["created", "updated", "deleted"]), names, st.just("@none")), min_size=1, max_size=3
)


@st.composite
def changes(draw: st.DrawFn) -> Change:
    event = draw(st.sampled_from(["created", "updated", "updated", "deleted"]))
    changed = draw(attribute_changes) if event == "updated" else []
    return Change("r", draw(st.sampled_from(MOMENTS)), event, changed, Before({}, [], [], "", "", None))  # type: ignore[arg-type]  # the events are literals


def stored(wanted: dict[str, Any], expires_at: str | None = None) -> dict[str, Any]:
    body = {"type": "Subscription", "notification": {"endpoint": {"uri": "http://x.example/"}}, **wanted}
    document = subscription.parse(body, CORE, CREATED).document("urn:s:1", CORE_CONTEXT_URL, CREATED)
    if expires_at is not None:
        document["subscription"]["expiresAt"] = expires_at
    return document


@given(members, st.none() | st.sampled_from(MOMENTS), entities, changes())
def test_a_subscription_is_told_exactly_when_it_passes_every_test(
    wanted: dict[str, Any], expires_at: str | None, entity: Entity, change: Change
) -> None:
    document = stored(wanted, expires_at)
    compiled = criteria("", document, CORE, subscription.began_at(document))
    findings = [
        *subscription_findings(document, change.at, of_change=True),
        *match_findings(document, compiled, entity, change, query_context=CORE, reader=CORE, lookup=LINKED.get),
    ]
    assert all(finding.passed for finding in findings) is is_told(document, compiled, entity, change, LINKED.get)
    assert all(finding.detail for finding in findings)


@pytest.mark.parametrize(
    ("delivery", "passed", "said"),
    [
        ({}, [True, True], "nothing was sent yet"),
        ({"lastNotification": "2026-03-01T08:00:00.000Z", "lastSuccess": "then"}, [False, True], "then, succeeded"),
        ({"lastNotification": "2026-03-01T07:59:00.000Z", "lastSuccess": "then"}, [True, True], "then, succeeded"),
        (
            {"state": "failed", "consecutiveFailures": 3, "nextAttemptAt": "later", "lastError": "refused"},
            [True, False],
            "3 attempts in a row have failed, the last with: refused; the next is at later",
        ),
    ],
)
def test_what_may_hold_up_a_notification(delivery: dict[str, Any], passed: list[bool], said: str) -> None:
    document = stored({"entities": [{"type": "Room"}], "throttling": 5}) | {"delivery": delivery}
    findings = list(delivery_findings(document, "2026-03-01T08:00:03.000Z"))
    assert [finding.passed for finding in findings] == passed
    assert said in findings[-1].detail


def test_streams_need_no_endpoint() -> None:
    document = stored({"entities": [{"type": "Room"}], "notification": {"endpoint": {"uri": "stream:"}}})
    assert "streams" in list(delivery_findings(document, CREATED))[-1].detail


def test_a_pause_by_the_notifier_is_told_with_its_reason() -> None:
    document = stored({"entities": [{"type": "Room"}], "isActive": False})
    document["delivery"] = {"ended": {"at": "then", "reason": "answer 410"}}
    found = next(iter(subscription_findings(document, CREATED, of_change=False)))
    assert (found.passed, "then: answer 410" in found.detail) == (False, True)
