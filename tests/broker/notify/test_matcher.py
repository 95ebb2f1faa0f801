from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.notify.id_patterns import literal_prefix
from broker.notify.matcher import Criteria, Matcher, selectors, triggers
from ngsi import pattern, subscription
from ngsi.changes import AttributeChange, Change
from ngsi.context import CORE
from ngsi.entity import Entity

AT = "2026-03-01T08:00:00.000Z"
EARLIER, LATER = "2026-03-01T07:59:59.000Z", "2026-03-01T08:00:00.001Z"


def criteria(
    name: str, *, tenant: str = "", since: str | None = None, expires_at: str | None = None, **members: Any
) -> Criteria:
    body = {"type": "Subscription", "notification": {"endpoint": {"uri": "http://x.example/"}}, **members}
    parsed = subscription.parse(body, CORE, AT).members
    watched = parsed.get("watchedAttributes")
    return Criteria(
        tenant,
        name,
        selectors(parsed),
        None if watched is None else frozenset(watched),
        triggers(parsed.get("notificationTrigger")),
        expires_at=expires_at,
        since=since,
    )


def room(
    entity_id: str = "urn:r:1", types: Iterable[str] = ("Room",), attributes: Iterable[str] = ("a", "b")
) -> Entity:
    return Entity(entity_id, list(types), AT, AT, {key: [{"type": "Property", "value": 1}] for key in attributes})


def update(*changes: AttributeChange) -> Change:
    return Change("r", AT, "updated", list(changes or [("updated", "a", "@none")]))


def matches(
    *wanted: Criteria, entity: Entity | None = None, change: Change | None = None, tenant: str = ""
) -> list[str]:
    matcher = Matcher()
    for item in wanted:
        matcher.put(item)
    return sorted(found.subscription for found in matcher.match(tenant, entity or room(), change or update()))


@pytest.mark.parametrize(
    ("selector", "types", "matched"),
    [
        ({"type": "Room"}, ["Room"], True),
        ({"type": "Room"}, ["Hall"], False),
        ({"type": "*"}, ["Hall"], True),
        ({"type": "Hall|Room"}, ["Room"], True),
        ({"type": "Hall,Room"}, ["Room"], True),
        ({"type": "(Room;Lab)"}, ["Room"], False),
        ({"type": "(Room;Lab),Hall"}, ["Lab", "Room"], True),
        ({"type": "Room;Lab"}, ["Room", "Lab"], True),
        ({"type": "Room", "id": "urn:r:1"}, ["Room"], True),
        ({"type": "Hall", "id": "urn:r:1"}, ["Room"], False),
        ({"type": "Room", "id": ["urn:r:2", "urn:r:1"]}, ["Room"], True),
        ({"type": "Room", "id": "urn:r:2", "idPattern": ".*"}, ["Room"], False),
        ({"type": "Room", "idPattern": "^urn:r:"}, ["Room"], True),
        ({"type": "Room", "idPattern": "^urn:x:"}, ["Room"], False),
        ({"type": "Room", "idPattern": ":1$"}, ["Room"], True),
        ({"type": "*", "idPattern": "^urn:r:[0-9]+$"}, ["Hall"], True),
    ],
)
@pytest.mark.clause("5.8.6")
def test_entity_selectors(selector: dict[str, Any], types: list[str], matched: bool) -> None:
    assert bool(matches(criteria("s", entities=[selector]), entity=room(types=types))) is matched


@pytest.mark.parametrize(
    ("trigger", "change", "matched"),
    [
        (None, Change("r", AT, "created"), True),
        (None, update(("updated", "a", "@none")), True),
        (None, update(("deleted", "a", "@none")), False),
        (None, Change("r", AT, "deleted"), False),
        (["entityCreated"], Change("r", AT, "created"), True),
        (["entityCreated"], update(), False),
        (["entityDeleted"], Change("r", AT, "deleted"), True),
        (["attributeCreated"], update(("created", "a", "@none")), True),
        (["attributeCreated"], update(("updated", "a", "@none")), False),
        (["attributeUpdated"], Change("r", AT, "created"), False),
        (["attributeDeleted"], update(("deleted", "a", "@none")), True),
        (["attributeDeleted"], Change("r", AT, "deleted"), True),
        (["entityUpdated"], update(("deleted", "a", "@none")), True),
        (["entityUpdated"], update(("created", "a", "@none")), True),
    ],
)
@pytest.mark.clause("5.2.12")
def test_triggers(trigger: list[str] | None, change: Change, matched: bool) -> None:
    members: dict[str, Any] = {} if trigger is None else {"notificationTrigger": trigger}
    assert bool(matches(criteria("s", entities=[{"type": "Room"}], **members), change=change)) is matched
    watching = criteria("s", watchedAttributes=["a"], **members)
    assert bool(matches(watching, change=change)) is matched
    elsewhere = criteria("s", watchedAttributes=["z"], **members)
    assert matches(elsewhere, change=change) == []


def test_a_change_of_another_attribute_does_not_count_for_the_trigger() -> None:
    wanted = criteria("s", watchedAttributes=["a"], notificationTrigger=["attributeCreated"])
    assert matches(wanted, change=update(("updated", "a", "@none"), ("created", "b", "@none"))) == []


def test_tenants_expiry_and_the_time_of_the_subscription() -> None:
    selector = [{"type": "Room"}]
    wanted = [
        criteria("other tenant", tenant="t", entities=selector),
        criteria("expired", entities=selector, expires_at=AT),
        criteria("not expired", entities=selector, expires_at=LATER),
        criteria("older", entities=selector, since=EARLIER),
        criteria("younger", entities=selector, since=LATER),
    ]
    assert matches(*wanted) == ["not expired", "older"]
    assert matches(*wanted, tenant="t") == ["other tenant"]


def test_two_selectors_that_match_give_one_notification() -> None:
    wanted = criteria(
        "s", entities=[{"type": "Room"}, {"type": "*", "id": "urn:r:1"}, {"type": "Room", "idPattern": "r"}]
    )
    assert matches(wanted) == ["s"]


def test_a_replaced_or_removed_subscription_leaves_nothing_behind() -> None:
    matcher = Matcher()
    matcher.put(criteria("s", entities=[{"type": "Room", "idPattern": "^urn:r"}]))
    matcher.put(criteria("s", watchedAttributes=["b"]))
    assert matcher.match("", room(), update()) == []
    matcher.put(criteria("s", entities=[{"type": "Room", "id": "urn:r:1"}], watchedAttributes=["a"]))
    assert len(matcher.match("", room(), update())) == 1
    matcher.remove("", "s")
    assert len(matcher) == 0
    assert matcher.match("", room(), update()) == []
    assert matcher.evaluated_count == 1


def test_subscriptions_that_cannot_match_are_not_looked_at() -> None:
    matcher = Matcher()
    matcher.put(criteria("wanted", entities=[{"type": "Room"}], watchedAttributes=["a"]))
    for number in range(250):
        matcher.put(criteria(f"type-{number}", entities=[{"type": f"Type{number}"}]))
        matcher.put(criteria(f"id-{number}", entities=[{"type": "Room", "id": f"urn:other:{number}"}]))
        matcher.put(criteria(f"pattern-{number}", entities=[{"type": "Room", "idPattern": f"^urn:other:{number}:"}]))
        matcher.put(criteria(f"watched-{number}", entities=[{"type": "Room"}], watchedAttributes=[f"a{number}"]))
        matcher.put(criteria(f"tenant-{number}", tenant=f"t{number}", entities=[{"type": "Room"}]))
    assert [found.subscription for found in matcher.match("", room(), update())] == ["wanted"]
    assert matcher.evaluated_count == 1


ids = st.sampled_from(["urn:r:1", "urn:r:12", "urn:h:1"])
selector_bodies = st.fixed_dictionaries(
    {"type": st.sampled_from(["A", "B", "A|B", "(A;B)", "*"])},
    optional={
        "id": ids,
        "idPattern": st.sampled_from(
            ["^urn:r:1", "^urn:r:1$", "^urn:[rh]", "1$", ".*", "^urn:h:1?", "(?i)^URN:R", "r|h"]
        ),
    },
)


@given(
    st.lists(st.tuples(st.lists(selector_bodies, min_size=1, max_size=3), st.booleans()), max_size=8),
    ids,
    st.sampled_from([["A"], ["B"], ["A", "B"], ["C"]]),
)
def test_the_index_finds_what_a_scan_finds(wanted: list[Any], entity_id: str, types: list[str]) -> None:
    watching: dict[str, Any] = {"watchedAttributes": ["a"]}
    every = [
        criteria(str(number), entities=bodies, **(watching if watches else {}))
        for number, (bodies, watches) in enumerate(wanted)
    ]
    entity = room(entity_id, types)
    scanned = [item.subscription for item in every if any(selector.selects(entity) for selector in item.selectors)]
    assert matches(*every, entity=entity) == scanned


@given(
    st.sampled_from(["urn:r:1", "urn:r:12", "urn:h:1", "x"]),
    st.sampled_from(["^urn:r:1?", "^urn", "^urn:r:1{2}", "^u|x", "^ur.:", "^urn:r:1*2"]),
)
def test_the_literal_prefix_is_one_of_every_match(text: str, source: str) -> None:
    if pattern.parse(source).search(text):
        assert text.startswith(literal_prefix(source))


@pytest.mark.parametrize(
    ("members", "is_concerned"),
    [
        ({"entities": [{"type": "Room"}]}, True),
        ({"entities": [{"type": "Room", "idPattern": "^urn:x"}]}, True),
        ({"entities": [{"type": "Hall", "id": "urn:r:1"}]}, True),
        ({"entities": [{"type": "*", "idPattern": "^urn:x"}]}, True),
        ({"watchedAttributes": ["a"]}, True),
        ({"entities": [{"type": "Hall"}]}, False),
        ({"entities": [{"type": "Room", "id": "urn:r:2"}]}, False),
    ],
)
def test_what_concerns_nobody_is_told_from_id_and_types_alone(members: dict[str, Any], is_concerned: bool) -> None:
    matcher = Matcher()
    matcher.put(criteria("s", **members))
    assert matcher.may_concern("", "urn:r:1", ["Room"]) is is_concerned
    assert not matcher.may_concern("other", "urn:r:1", ["Room"])
